// front.js - "What is in front of me": the camera looks again and again, and
// what has changed is spoken.

import { look } from "./api.js";
import * as camera from "./camera.js";
import { Changes } from "./changes.js";
import { $, ms } from "./dom.js";
import { preferred } from "./models.js";
import { withHues } from "./palette.js";
import { fromVideo } from "./picture.js";
import { say, warn } from "./say.js";
import * as settings from "./settings.js";
import * as speech from "./speech.js";
import { paintBoxes } from "./stage.js";
import { sentence } from "./words.js";

const SIZE = 640; // detectors look at no more
const LEAST_SCORE = 0.5; // said aloud, so no guesses
const PAUSE_MS = 120; // between looks: others use the server too

const dialog = $("#front"), video = $("#front video");
const canvas = $("#front canvas"), text = $("#front-text");
let run = 0; // which run of the loop is the present one
let paused = false;
let changes = null;
let last = null; // {objects, width}
const hues = new Map(); // a thing keeps its colour

const wait = (time) => new Promise((done) => setTimeout(done, time));

function tell({ text: words, urgent }) {
  text.textContent = words;
  // One voice only: a screen reader is not to talk over the page's.
  if (speech.engine() !== "reader") speech.speak(words);
  else if (urgent) warn(words);
  else say(words);
}

function draw(found) {
  canvas.width = found.width;
  canvas.height = found.height;
  const context = canvas.getContext("2d");
  const unit = found.width / (video.clientWidth || found.width);
  canvas.style.inlineSize = `${video.clientWidth}px`;
  paintBoxes(context, found.objects, 1, unit);
}

async function lookOnce(model, mine) {
  const blob = await fromVideo(video, SIZE, 0.8);
  if (!blob) return;
  const begun = performance.now();
  const json = await look("detect", blob,
    { model, threshold: LEAST_SCORE, top: 20, priority: 1 });
  const [{ objects, width, height }] = json.results;
  // What comes after a pause or the end is not to be said any more.
  if (run !== mine || paused) return;
  const now = performance.now();
  last = { objects: withHues(objects, hues), width, height };
  draw(last);
  $("#front-note").textContent =
    `${json.model}, ${ms(now - begun)} a look`;
  const news = changes.see(objects, width, height, now);
  if (news) tell(news);
}

async function loop(mine) {
  let troubles = 0;
  while (run === mine) {
    const model = preferred("detect");
    if (paused || document.hidden) {
      await wait(250);
      continue;
    }
    try {
      if (!model) throw new Error("This server has no model that detects.");
      await lookOnce(model.name, mine);
      troubles = 0;
    } catch (problem) {
      // Said once; it goes on trying, ever more slowly.
      if (run === mine && troubles++ === 0)
        tell({ text: problem.message, urgent: true });
    }
    await wait(Math.min(8000, PAUSE_MS * 2 ** Math.min(troubles, 6)));
  }
}

async function start() {
  const mine = ++run;
  paused = false;
  last = null;
  canvas.width = 1;
  $("#front-pause").setAttribute("aria-pressed", "false");
  text.textContent = "Starting the camera.";
  changes = new Changes(1000 * settings.get("cool"));
  try {
    await camera.start(video);
  } catch (problem) {
    if (run === mine) tell({ text: problem.message, urgent: true });
    return;
  }
  if (run !== mine) {
    if (!dialog.open) camera.stop(video);
    return;
  }
  text.textContent = "Looking.";
  loop(mine);
}

function end() {
  run++;
  camera.stop(video);
  speech.stop();
}

/** Everything that is seen now, changed or not. */
export function sayAll() {
  tell({ text: last ? sentence(last.objects, last.width)
    : "Nothing has been seen yet.", urgent: false });
}

dialog.addEventListener("opening", start);
dialog.addEventListener("close", end);
$("#front-all").addEventListener("click", sayAll);
$("#front-pause").addEventListener("click", (event) => {
  paused = !paused;
  event.currentTarget.setAttribute("aria-pressed", String(paused));
  if (paused) speech.stop();
});
