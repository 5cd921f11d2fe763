// bench.js - the page of a task: take a picture, ask, show, say, keep.

import { meet, onServer, server } from "./api.js";
import { $, $$, download, el, fillTable, ms } from "./dom.js";
import { showDetails } from "./dialogs.js";
import * as models from "./models.js";
import { color } from "./palette.js";
import * as pictures from "./picture.js";
import { say } from "./say.js";
import * as settings from "./settings.js";
import * as speech from "./speech.js";
import { Stage } from "./stage.js";
import { tasks } from "./tasks.js";

const titles = {
  street: ["A street", "/samples/street.webp"],
  clock: ["A clock", "/samples/clock.svg"],
  desk: ["A desk", "/samples/desk.svg"],
};

const root = $("#bench");
const stage = new Stage($("#stage"));
let task = tasks.recognise;
let picture = null; // stays when the page changes
let result = null;
let running = null; // AbortController
let hidden = new Set(); // names of classes
let lit = null;

/* ---- what is shown ------------------------------------------------------- */

const least = () => Number($("#threshold").value) / 100;

const shown = () =>
  result.found.filter((x) => task.value(x) >= least() && !hidden.has(x.label));

function words() {
  return result ? task.words(shown(), result) : {};
}

function drawOver() {
  const list = shown();
  stage.over(task.paint && result
    ? (context, unit) => task.paint(context, unit, list, result, lit)
    : null);
}

function showWords() {
  const { text = "", more } = words();
  $("#sentence").textContent = text;
  $("#more").textContent = more ?? "";
  $("#more").hidden = !more;
  stage.describe(`Picture ${picture.name}. ${text}`);
}

function showTable() {
  const list = shown();
  fillTable($("#table"), `${task.caption}: ${list.length}`, task.head,
    task.rows(list, result));
  $$("#table tbody tr").forEach((row, i) => {
    row.addEventListener("mouseenter", () => light(list[i], row));
    row.addEventListener("mouseleave", () => light(null, row));
  });
}

function light(one, row) {
  if (!task.paint) return;
  lit = one;
  row.classList.toggle("lit", Boolean(one));
  drawOver();
}

function showClasses() {
  const counts = new Map();
  for (const x of result.found) {
    if (task.value(x) < least()) continue;
    const known = counts.get(x.label) ?? { n: 0, hue: x.hue };
    counts.set(x.label, { ...known, n: known.n + 1 });
  }
  $("#classes-field").hidden = !task.classes || !counts.size;
  $("#classes").replaceChildren(...[...counts].map(([label, { n, hue }]) => {
    const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = color(hue);
    const box = el("input", { type: "checkbox", checked: !hidden.has(label) });
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(label);
      else hidden.add(label);
      refresh();
      say(`${label} ${box.checked ? "shown" : "hidden"}.`);
    });
    return el("label", { class: "chip" }, box, swatch, label,
      n > 1 ? el("span", { class: "count" }, String(n)) : null);
  }));
}

function refresh() {
  $("#threshold-value").textContent = `${$("#threshold").value} %`;
  if (!result) return;
  showWords();
  showTable();
  drawOver();
}

function showResult() {
  const whole = result.took;
  const infer = result.time?.infer;
  $("#made-by").textContent = `${result.name}: ` +
    (infer ? `${ms(infer)} in the network, ` : "") + `${ms(whole)} in all`;
  $("#found").hidden = false;
  $("#threshold-field").hidden = !result.found.length;
  showClasses();
  refresh();
}

/* ---- asking ----------------------------------------------------------------- */

function busy(on) {
  $(".busy", stage.root).hidden = !on;
  root.setAttribute("aria-busy", String(on));
}

function trouble(problem) {
  $("#trouble").hidden = !problem;
  if (!problem) return;
  $("#trouble-text").textContent = problem.message;
  $("#enter-key").hidden = problem.kind !== "key";
  say(problem.message);
}

function forget() {
  running?.abort();
  result = null;
  lit = null;
  hidden = new Set();
  trouble(null);
  busy(false);
  $("#found").hidden = true;
  $("#more").hidden = true;
  $("#sentence").textContent = picture ? "" : "Nothing yet: take a picture, " +
    "or one of the samples.";
  stage.show(picture);
}

function noModel() {
  if (server.state !== "ready") return null;
  if (models.ofTask(task.task).length) return null;
  return new Error(`This server has no model to ${task.task}, so nothing ` +
    `can be said of pictures here.`);
}

async function lookNow() {
  if (!picture) return;
  forget();
  const mine = (running = new AbortController());
  const mineTask = task;
  busy(true);
  try {
    // The page may have been opened before the server was.
    if (server.state !== "ready") await meet();
    const without = noModel();
    if (without) throw without;
    const begun = performance.now();
    const model = $("#model").value;
    const found = await task.look(picture, model || undefined, mine.signal);
    if (running !== mine || mineTask !== task) return;
    result = { ...found, took: performance.now() - begun };
    hidden = new Set(result.found.map((x) => x.label)
      .filter((label) => task.hides?.test(label)));
    if (!picture.image) stage.show(picture, result.width, result.height);
    showResult();
    const { text, more } = words();
    if (settings.get("auto")) speech.speak(more ? `${text} ${more}` : text);
    say(`Done. ${text}`);
  } catch (problem) {
    if (problem.name !== "AbortError" && running === mine) trouble(problem);
  } finally {
    if (running === mine) busy(false);
  }
}

function take(next) {
  picture = next;
  say(`Picture ${next.name} taken.`);
  lookNow();
}

/** For the camera's dialog. */
export const takePicture = take;

export function speakResult() {
  const { text, more } = words();
  speech.speak(more ? `${text} ${more}` : text);
}

export const chooseFile = () => $("#file").click();

/* ---- the page --------------------------------------------------------------- */

function showSamples() {
  $("#samples").replaceChildren(...task.samples.map((name) => {
    const [title, url] = titles[name];
    const button = el("button", { type: "button" },
      el("img", { src: url, alt: "", loading: "lazy" }), title);
    button.addEventListener("click", async () => {
      try {
        take(await pictures.fromSample(url));
      } catch {
        trouble(new Error("The sample cannot be loaded."));
      }
    });
    return el("li", {}, button);
  }));
}

function showModels() {
  models.fillSelect($("#model"), task.task);
  const without = noModel();
  if (without && !result) trouble(without);
}

/** Opens the page of a task. */
export function open(id) {
  task = tasks[id];
  $("#bench-title").textContent = task.title;
  $("#bench-intro").textContent = task.intro;
  const slider = $("#threshold"), t = task.threshold;
  $("#threshold-label").textContent = t.label;
  Object.assign(slider, { min: t.least ?? 0, max: t.most ?? 100,
    step: t.step ?? 1 });
  slider.value = t.start;
  showSamples();
  forget();
  showModels();
  lookNow();
}

function start() {
  pictures.onDrop(stage.root, take, say);
  pictures.onPaste(() => !root.hidden && !$("dialog[open]"), take);
  pictures.onChoose($("#file"), take);
  $("#choose").addEventListener("click", chooseFile);
  $("#paste").addEventListener("click", async () => {
    try {
      take(await pictures.fromClipboard());
    } catch (problem) {
      say(problem.message);
      trouble(problem);
    }
  });
  $("#model").addEventListener("change", (event) => {
    models.choose(task.task, event.target.value);
    lookNow();
  });
  $("#threshold").addEventListener("input", () => {
    refresh();
    if (result) showClasses();
  });
  $("#threshold").addEventListener("change", () => {
    if (result) say(`${shown().length} shown.`);
  });
  $("#again").addEventListener("click", lookNow);
  $("#speak").addEventListener("click", speakResult);
  $("#repeat").addEventListener("click", speech.repeat);
  $("#stop").addEventListener("click", speech.stop);
  $("#details").addEventListener("click", () =>
    showDetails(models.named($("#model").value), result));
  $("#save-json").addEventListener("click", () => download(
    new Blob([JSON.stringify(result.json, null, 2)],
      { type: "application/json" }),
    `${picture.stem}.${task.id}.json`));
  $("#save-png").addEventListener("click", async () =>
    download(await stage.blob(), `${picture.stem}.${task.id}.png`));
  onServer(() => {
    if (!root.hidden) showModels();
  });
}

start();
