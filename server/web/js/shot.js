// shot.js - the dialog that takes one picture with the camera.

import * as camera from "./camera.js";
import { $ } from "./dom.js";
import { fromBlob, fromVideo } from "./picture.js";
import { say } from "./say.js";

const dialog = $("#shot"), video = $("#shot video");
let take = null;

async function start() {
  $("#shot-trouble").hidden = true;
  try {
    await camera.start(video);
    if (!dialog.open) camera.stop(video); // closed while it started
    say("The camera is on.");
  } catch (problem) {
    $("#shot-trouble").textContent = problem.message;
    $("#shot-trouble").hidden = false;
    say(problem.message);
  }
}

/** Asks for a picture; taker gets it. */
export function openShot(taker) {
  take = taker;
  dialog.showModal();
  start();
}

$("#shot-turn").addEventListener("click", () => {
  camera.turn();
  start();
});
$("#shot-take").addEventListener("click", async () => {
  const blob = video.srcObject && (await fromVideo(video));
  if (!blob) {
    say("There is no picture yet.");
    return;
  }
  dialog.close();
  take(await fromBlob(blob, "camera.jpg"));
});
dialog.addEventListener("close", () => camera.stop(video));
