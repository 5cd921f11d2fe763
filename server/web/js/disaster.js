// disaster.js - damage on a tile, or between two of the same place.

import { look, meet, onServer, server } from "./api.js";
import { $, $$, download, el, fillTable, meter, ms, percent } from "./dom.js";
import { showDetails } from "./dialogs.js";
import * as models from "./models.js";
import * as pictures from "./picture.js";
import { say } from "./say.js";
import * as settings from "./settings.js";
import * as speech from "./speech.js";
import { Stage } from "./stage.js";

const root = $("#disaster");
const stages = {};
const tiles = { before: null, after: null };
let current = "after"; // where a pasted picture goes
let result = null;
let running = null;

const samples = [
  ["Before and after a flood", "/samples/tile-before.svg",
    "/samples/tile-after.svg"],
  ["One tile", null, "/samples/tile-after.svg"],
];

/* ---- verdict ----------------------------------------------------------------- */

// Of "damage" and "no damage", which is which.
const isHarm = (label) =>
  /damage|destroy|collaps|flood|burn|debris|rubble/i.test(label) &&
  !/^(no|un|non|without)([-_ ]|damage)|undamaged|intact/i.test(label);

/** How likely damage is: what all such labels have together. */
const harm = (labels) =>
  labels.filter((l) => isHarm(l.label)).reduce((s, l) => s + l.score, 0);

const sure = (p) => (p > 0.8 || p < 0.2 ? "" : "probably ");

function verdictOfOne(labels, fits) {
  const best = labels[0];
  if (!fits)
    return `The tile looks like ${best.label} to a model that was not made ` +
      `for damage.`;
  const p = harm(labels);
  return p >= 0.5 ? `There is ${sure(p)}damage on this tile.`
    : `There is ${sure(p)}no damage on this tile.`;
}

function verdictOfPair(before, after, fits) {
  if (!fits)
    return before[0].label === after[0].label
      ? `Both look like ${after[0].label} to a model that was not made for ` +
        `damage.`
      : `It looked like ${before[0].label}, and now like ${after[0].label}, ` +
        `to a model that was not made for damage.`;
  const from = harm(before), to = harm(after);
  if (to >= 0.5 && from < 0.5)
    return `There is ${sure(to)}damage now, and there was ` +
      `${sure(from)}none before.`;
  if (to >= 0.5) return `There is ${sure(to)}damage now, as there was before.`;
  if (from >= 0.5)
    return `There is ${sure(to)}no damage now; there was before.`;
  return `There is ${sure(to)}no damage, neither before nor now.`;
}

function rowsOf(before, after) {
  const was = new Map((before ?? []).map((l) => [l.label, l.score]));
  return after.map((l) => {
    const now = [meter(l.score), percent(l.score)];
    if (!before) return [l.label, now];
    const change = l.score - (was.get(l.label) ?? 0);
    const sign = change > 0.005 ? "+" : change < -0.005 ? "\u2212" : "\u00b1";
    return [l.label, percent(was.get(l.label) ?? 0), now,
      el("span", {
        class: Math.abs(change) < 0.05 ? ""
          : change > 0 === isHarm(l.label) ? "worse" : "better",
      }, `${sign}${percent(Math.abs(change))}`)];
  });
}

function show() {
  const { before, after, fits, model, took } = result;
  const text = before
    ? verdictOfPair(before.labels, after.labels, fits)
    : verdictOfOne(after.labels, fits);
  $("#verdict").textContent = text;
  fillTable($("#damage-table"), "What the model sees",
    before ? ["Label", "Before", "After", "Change"] : ["Label", "How sure"],
    rowsOf(before?.labels, after.labels));
  $("#damage-made-by").textContent =
    `${model}: ${ms(after.time_ms.infer)} in the network, ${ms(took)} in all`;
  $("#damage").hidden = false;
  stages.after.describe(`Tile after. ${text}`);
  say(`Done. ${text}`);
  if (settings.get("auto")) speech.speak(text);
}

/* ---- asking ------------------------------------------------------------------- */

function trouble(problem) {
  $("#tile-trouble").hidden = !problem;
  if (!problem) return;
  $("#tile-trouble-text").textContent = problem.message;
  $("#tile-key").hidden = problem.kind !== "key";
  say(problem.message);
}

async function lookNow() {
  running?.abort();
  const mine = (running = new AbortController());
  result = null;
  trouble(null);
  $("#damage").hidden = true;
  $("#verdict").textContent = tiles.after ? "" : "No tile yet.";
  if (!tiles.after) return;
  // The page may have been opened before the server was.
  if (server.state !== "ready") await meet();
  if (running !== mine) return;
  const model = models.named($("#tile-model").value);
  if (!model) {
    const text = server.state === "gone"
      ? "The server cannot be reached, so nothing can look at tiles now. " +
        "The page itself works, and your tiles stay here."
      : "No model is chosen, so the tile is not looked at.";
    $("#verdict").textContent = server.state === "gone" ? "" : text;
    if (server.state === "gone") trouble(new Error(text));
    else say(text);
    return;
  }
  const begun = performance.now();
  const one = (tile) => tile && look("classify", tile.blob,
    { model: model.name, top: 10 }, { signal: mine.signal });
  try {
    const [before, after] = await Promise.all([one(tiles.before),
      one(tiles.after)]);
    if (running !== mine) return;
    result = {
      json: before ? { before, after } : after,
      before: before?.results[0],
      after: after.results[0],
      model: after.model,
      fits: models.isAboutDamage(model),
      took: performance.now() - begun,
    };
    show();
  } catch (problem) {
    if (problem.name !== "AbortError") trouble(problem);
  }
}

/* ---- tiles --------------------------------------------------------------------- */

function drawCompare() {
  const on = tiles.before?.image && tiles.after?.image;
  $("#compare").hidden = !on;
  if (!on) return;
  const canvas = $("#compare canvas"), context = canvas.getContext("2d");
  const share = Number($("#divide").value) / 100;
  canvas.width = canvas.height = 900;
  context.drawImage(tiles.after.image, 0, 0, 900, 900);
  context.save();
  context.beginPath();
  context.rect(0, 0, 900 * share, 900);
  context.clip();
  context.drawImage(tiles.before.image, 0, 0, 900, 900);
  context.restore();
  for (const [style, width] of [["#000", 8], ["#fff", 4]]) {
    context.fillStyle = style;
    context.fillRect(900 * share - width / 2, 0, width, 900);
  }
  $("#divide-value").textContent = `${$("#divide").value} %`;
}

function put(which, picture) {
  tiles[which] = picture;
  stages[which].show(picture);
}

function take(which, picture) {
  put(which, picture);
  say(`Tile ${which}: ${picture.name}.`);
  drawCompare();
  lookNow();
}

async function takeSample([, before, after]) {
  put("before", before && (await pictures.fromSample(before)));
  put("after", await pictures.fromSample(after));
  drawCompare();
  lookNow();
}

function savePng() {
  const canvas = document.createElement("canvas");
  const list = ["before", "after"].filter((k) => tiles[k])
    .map((k) => stages[k].canvas);
  canvas.height = Math.max(...list.map((c) => c.height));
  canvas.width = list.reduce((s, c) => s + c.width, 0);
  let x = 0;
  for (const c of list) {
    canvas.getContext("2d").drawImage(c, x, 0);
    x += c.width;
  }
  canvas.toBlob((blob) => download(blob, "tiles.png"), "image/png");
}

/* ---- the page -------------------------------------------------------------------- */

function showModels() {
  models.fillDamageSelect($("#tile-model"));
  const any = models.ofTask("classify").some(models.isAboutDamage);
  $("#no-damage-model").hidden = server.state !== "ready" || any;
}

export function open() {
  showModels();
  drawCompare();
}

export const speakVerdict = () => speech.speak(result
  ? $("#verdict").textContent : "");

function startTile(tile) {
  const which = tile.dataset.tile;
  stages[which] = new Stage($(".stage", tile));
  tile.addEventListener("focusin", () => {
    current = which;
  });
  pictures.onDrop($(".stage", tile), (p) => take(which, p), say);
  $("[data-choose]", tile).addEventListener("click", () => {
    current = which;
    $("#tile-file").click();
  });
  $("[data-clear]", tile).addEventListener("click", () => {
    put(which, null);
    say(`The tile ${which} is removed.`);
    drawCompare();
    lookNow();
  });
}

function start() {
  $$(".tile", root).forEach(startTile);
  pictures.onChoose($("#tile-file"), (p) => take(current, p));
  pictures.onPaste(() => !root.hidden && !$("dialog[open]"),
    (p) => take(current, p));
  $("#pairs").replaceChildren(...samples.map((sample) => {
    const views = sample.slice(1).filter(Boolean).map((src) =>
      el("img", { src, alt: "" }));
    const button = el("button", { type: "button" },
      el("span", { class: views.length > 1 ? "two" : "" }, ...views),
      sample[0]);
    button.addEventListener("click", () => takeSample(sample));
    return el("li", {}, button);
  }));
  $("#divide").addEventListener("input", drawCompare);
  $("#tile-model").addEventListener("change", (event) => {
    models.choose("damage", event.target.value);
    lookNow();
  });
  $("#tile-again").addEventListener("click", lookNow);
  $("#tile-speak").addEventListener("click", speakVerdict);
  $("#tile-details").addEventListener("click", () =>
    showDetails(models.named($("#tile-model").value), result && {
      time: result.after.time_ms, took: result.took }));
  $("#damage-json").addEventListener("click", () => download(
    new Blob([JSON.stringify(result.json, null, 2)],
      { type: "application/json" }), "tiles.json"));
  $("#damage-png").addEventListener("click", savePng);
  onServer(() => {
    if (!root.hidden) showModels();
  });
}

start();
