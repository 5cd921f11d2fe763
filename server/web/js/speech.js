// speech.js - speaks, by the browser's voices or by the server's.  There is
// one voice: what is new silences what was being said.

import { ask, has } from "./api.js";
import { say } from "./say.js";
import * as settings from "./settings.js";

const MOST = 4096; // letters that the server speaks at once
let last = "";
let audio = null;
let running = null; // AbortController of what is being fetched

const synthesis = globalThis.speechSynthesis;

export const voices = () => synthesis?.getVoices() ?? [];
export const onVoices = (what) =>
  synthesis?.addEventListener?.("voiceschanged", what);

/** Silence, at once. */
export function stop() {
  running?.abort();
  running = null;
  synthesis?.cancel();
  if (audio) {
    audio.pause();
    URL.revokeObjectURL(audio.src);
    audio = null;
  }
}

// Some browsers go silent after fifteen seconds of one utterance.
const sentences = (text) => text.match(/[^.!?;]+[.!?;]*\s*/g) ?? [text];

function byBrowser(text) {
  const voice = voices().find((v) => v.voiceURI === settings.get("voice"));
  for (const part of sentences(text)) {
    const utterance = new SpeechSynthesisUtterance(part.trim());
    utterance.rate = settings.get("rate");
    utterance.lang = voice?.lang ?? "en";
    if (voice) utterance.voice = voice;
    synthesis.speak(utterance);
  }
}

async function byServer(text) {
  const mine = (running = new AbortController());
  const answer = await ask("/v1/audio/speech", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      input: text.slice(0, MOST),
      speed: settings.get("rate"),
      response_format: "wav",
    }),
    signal: mine.signal,
  });
  const sound = await answer.blob();
  if (running !== mine) return; // silenced meanwhile
  audio = new Audio(URL.createObjectURL(sound));
  await audio.play();
}

/** Who can speak at all; "reader" always can. */
export function engine() {
  const wanted = settings.get("engine");
  if (wanted === "server" && has("/v1/audio/speech")) return "server";
  if (wanted === "reader") return "reader";
  if (synthesis) return "browser";
  return has("/v1/audio/speech") ? "server" : "reader";
}

/** Says a text now.  Never throws: words are shown as well. */
export async function speak(text) {
  stop();
  if (!text) {
    say("There is nothing to speak yet.");
    return;
  }
  last = text;
  const by = engine();
  try {
    if (by === "browser") byBrowser(text);
    else if (by === "server") await byServer(text);
    else say(text);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    // The server has lost its voice; ours may do.
    if (by === "server" && synthesis) byBrowser(text);
    else say(text);
  }
}

export function repeat() {
  if (last) speak(last);
  else say("Nothing was said yet.");
}
