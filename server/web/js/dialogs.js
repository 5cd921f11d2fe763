// dialogs.js - modal dialogs: the browser's own, which keep the focus inside,
// close by Escape and give the focus back.

import { meet, onServer, server } from "./api.js";
import { $, $$, el, ms } from "./dom.js";
import { say } from "./say.js";
import * as settings from "./settings.js";
import * as speech from "./speech.js";

export function openDialog(id) {
  const dialog = $(`#${id}`);
  // A dialog opened from the menu takes its place.
  if ($("#menu").open) $("#menu").close();
  if (dialog.open) return;
  dialog.dispatchEvent(new Event("opening"));
  dialog.showModal();
  dialog.scrollTop = 0;
}

/* ---- details ---------------------------------------------------------------- */

const pair = (name, value) =>
  value ? [el("dt", {}, name), el("dd", {}, value)] : [];

function timesOf(result) {
  const names = {
    decode: "Picture read",
    preprocess: "Made ready",
    infer: "Network",
    decode_output: "Understood",
  };
  const parts = Object.entries(names)
    .filter(([key]) => result.time?.[key] !== undefined)
    .flatMap(([key, name]) => pair(name, ms(result.time[key])));
  return [el("h3", {}, "Time"), el("dl", { class: "pairs" }, ...parts,
    ...pair("In all, with the way there", ms(result.took)))];
}

function cardOf(model) {
  const guessed = model.guessed ?? [];
  return [
    el("dl", { class: "pairs" },
      ...pair("Model", model.name),
      ...pair("Version", String(model.version)),
      ...pair("For", model.task),
      ...pair("Licence", model.license ?? "its card says none"),
      ...pair("From", model.source ?? "its card says nothing")),
    ...(guessed.length
      ? [el("h3", {}, "Guessed, since the card does not say"),
        el("ul", { class: "labels", tabindex: "0", "aria-label": "Guesses",
          role: "list" },
          ...guessed.map((g) => el("li", {}, g)))]
      : []),
    el("h3", {}, `What it knows: ${model.labels.length}`),
    el("p", { class: "labels", tabindex: "0", role: "group",
      "aria-label": "Labels" },
      model.labels.join(", ") || "no labels"),
  ];
}

/** A model's card, and how long a result took; either may be missing. */
export function showDetails(model, result) {
  $("#info-body").replaceChildren(
    ...(model ? cardOf(model)
      : [el("p", {}, "Nothing is known of a model yet.")]),
    ...(result?.time ? timesOf(result) : []),
  );
  openDialog("info");
}

/* ---- settings --------------------------------------------------------------- */

function bindCheck(id, name) {
  const box = $(id);
  box.checked = settings.get(name);
  box.addEventListener("change", () => settings.set(name, box.checked));
}

function bindRange(id, name, format) {
  const range = $(id), out = $(`${id}-value`);
  const show = () => {
    out.textContent = format(Number(range.value));
  };
  range.value = settings.get(name);
  range.addEventListener("input", () => {
    settings.set(name, Number(range.value));
    show();
  });
  show();
}

function showTheme() {
  const theme = settings.get("theme");
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function fillVoices() {
  const chosen = settings.get("voice");
  $("#set-voice").replaceChildren(
    el("option", { value: "" }, "the usual one"),
    ...speech.voices().map((v) => el("option",
      { value: v.voiceURI, selected: v.voiceURI === chosen },
      `${v.name} (${v.lang})`)));
}

function showEngine() {
  $("#voice-field").hidden = settings.get("engine") !== "browser";
}

async function useKey() {
  settings.set("key", $("#set-key").value.trim());
  server.routes = null;
  const state = await meet();
  const text = {
    ready: "The server takes it.",
    key: "The server does not know this key.",
  }[state] ?? "The server cannot be reached now.";
  $("#key-answer").textContent = text;
  say(text);
}

function bindSettings() {
  for (const radio of $$('[name="theme"]')) {
    radio.checked = radio.value === settings.get("theme");
    radio.addEventListener("change", () => {
      settings.set("theme", radio.value);
      showTheme();
    });
  }
  bindCheck("#set-auto", "auto");
  bindCheck("#set-keys", "keys");
  bindCheck("#set-keep", "keepKey");
  bindRange("#set-rate", "rate", (v) => `${v.toFixed(1)} times`);
  bindRange("#set-cool", "cool", (v) => `${v} seconds`);
  for (const [id, name] of [["#set-engine", "engine"],
    ["#set-voice", "voice"]]) {
    $(id).addEventListener("change", () => settings.set(name, $(id).value));
  }
  settings.onChange("engine", showEngine);
  settings.onChange("keys", showKeys);
  $("#set-engine").value = settings.get("engine");
  $("#set-key").value = settings.get("key");
  $("#try-voice").addEventListener("click", () =>
    speech.speak("A bus ahead, two people on the left."));
  $("#key-form").addEventListener("submit", (event) => {
    event.preventDefault(); // it goes nowhere but into a header
    useKey();
  });
  $("#settings").addEventListener("opening", fillVoices);
  speech.onVoices(fillVoices);
}

const showKeys = () => $$(".keys").forEach((k) => {
  k.hidden = !settings.get("keys");
});

/* ---- all of them ------------------------------------------------------------- */

for (const button of $$("[data-open]"))
  button.addEventListener("click", () => openDialog(button.dataset.open));
for (const button of $$("[data-close]"))
  button.addEventListener("click", () => button.closest("dialog").close());
for (const link of $$("#menu a"))
  link.addEventListener("click", () => $("#menu").close());
for (const dialog of $$("dialog")) {
  // A click beside it closes it, as Escape does.
  dialog.addEventListener("click", (event) => {
    if (event.target !== dialog) return;
    const r = dialog.getBoundingClientRect();
    const inside = event.clientX >= r.left && event.clientX <= r.right &&
      event.clientY >= r.top && event.clientY <= r.bottom;
    if (!inside) dialog.close();
  });
}
for (const button of $$('[data-speech="repeat"]'))
  button.addEventListener("click", speech.repeat);
for (const button of $$('[data-speech="stop"]'))
  button.addEventListener("click", speech.stop);
bindSettings();
showTheme();
showEngine();
showKeys();
onServer(() => {
  // Who needs the server's voice can have it only where there is one.
  const known = server.routes;
  $('#set-engine [value="server"]').disabled =
    Boolean(known) && !known.has("/v1/audio/speech");
});
