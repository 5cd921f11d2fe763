// about.js - the page about the program, its models, and its routes.

import { onServer, server } from "./api.js";
import { $, el } from "./dom.js";
import { showDetails } from "./dialogs.js";
import * as settings from "./settings.js";

function row(model) {
  const button = el("button", { type: "button", class: "button",
    "aria-label": `Details of ${model.name}` }, "Details");
  button.addEventListener("click", () => showDetails(model));
  return el("tr", {},
    el("th", { scope: "row" }, model.name),
    el("td", {}, model.tensors_only ? "tensors only" : model.task),
    el("td", { class: "number" }, String(model.labels.length)),
    el("td", {}, model.license ?? "not said"),
    el("td", {}, button));
}

export function open() {
  const known = server.models;
  $("#models-none").hidden = known.length > 0;
  $("#models-none").textContent = {
    gone: "The server cannot be reached.",
    key: "The server wants an API key before it tells.",
    ready: "It has none.",
  }[server.state] ?? "None are known yet.";
  $("#models-scroll").hidden = !known.length;
  $("#models").replaceChildren(...known.map(row));
  $("#version").textContent = server.version || "unknown";
  $("#api-key-note").hidden = !settings.get("key");
}

onServer(open);
