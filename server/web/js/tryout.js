// tryout.js - the page that tries the server's routes: a form for each, made
// of the server's own description (/openapi.json), its answer, and the same
// question for curl.

import { onServer, send, server } from "./api.js";
import { $, download, el, ms } from "./dom.js";
import { say } from "./say.js";
import * as settings from "./settings.js";

const SAMPLE = "/samples/street.webp";
const MOST_SHOWN = 100000; // letters of an answer: more makes browsers slow
const JSON_TYPE = "application/json";
const chosen = $("#try-route"), form = $("#try-form");

let described = null; // the document the form is made of
let operations = [];
let running = null; // AbortController
let answer = null; // what came last, as a Blob, and its name
let shownUrl = "";

/* ---- the routes ---------------------------------------------------------- */

const methods = ["get", "post", "put", "patch", "delete"];

function listOperations(document) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    methods.filter((m) => item[m]).map((method) => ({
      method: method.toUpperCase(), path, ...item[method] })));
}

function showRoutes() {
  const groups = new Map();
  for (const o of operations) {
    const tag = o.tags?.[0] ?? "others";
    if (!groups.has(tag)) groups.set(tag, el("optgroup", { label: tag }));
    groups.get(tag).append(el("option", { value: o.operationId },
      `${o.method} ${o.path}`));
  }
  const before = chosen.value;
  chosen.replaceChildren(...groups.values());
  const has = (id) => operations.some((o) => o.operationId === id);
  chosen.value = [before, "detect"].find(has) ?? operations[0].operationId;
}

const operation = () =>
  operations.find((o) => o.operationId === chosen.value);

/* ---- the form ------------------------------------------------------------ */

const typesOf = (part) => Object.keys(part?.content ?? {});
const answersOf = (o) => typesOf(o.responses["200"]);
const takesPicture = (o) =>
  typesOf(o.requestBody).some((type) => type.startsWith("image/"));

function labelled(id, label, input, help) {
  if (help) input.setAttribute("aria-describedby", `${id}-help`);
  return el("div", { class: "field" }, el("label", { for: id }, label), input,
    help ? el("p", { class: "muted small", id: `${id}-help` }, help) : null);
}

function field(p) {
  const id = `try-${p.in}-${p.name}`;
  const isNumber = ["integer", "number"].includes(p.schema.type);
  const isModel = p.name === "model" || p.name === "model_name";
  const input = el("input", { type: "text", id, name: p.name,
    required: p.required, autocomplete: "off", spellcheck: "false",
    inputmode: isNumber ? "decimal" : null,
    list: isModel ? "try-models" : null });
  if (p.in === "path")
    input.value = isModel ? server.models[0]?.name ?? "" : "1";
  return labelled(id, p.required ? `${p.name} (needed)` : p.name, input,
    p.description);
}

function bodyField(o) {
  if (takesPicture(o))
    return labelled("try-file", "Picture",
      el("input", { type: "file", id: "try-file",
        accept: "image/*,.tif,.tiff,.jp2" }),
      "Without one, the street of the samples is sent.");
  const json = o.requestBody?.content[JSON_TYPE];
  if (!json) return null;
  const text = el("textarea", { id: "try-body", rows: "6",
    spellcheck: "false" });
  text.value = JSON.stringify(json.example ?? {}, null, 2);
  return labelled("try-body", "Body (JSON)", text);
}

function acceptField(o) {
  const types = answersOf(o);
  // Elsewhere the body says it.
  if (types.length < 2 || !takesPicture(o)) return null;
  return labelled("try-accept", "Answer as", el("select", {
    id: "try-accept" }, ...types.map((t) => el("option", {}, t))));
}

// What may be left out is behind a summary, or Send would be far away.
function optionFields(list) {
  if (!list.length) return null;
  return el("details", { class: "options" },
    el("summary", {}, `Options: ${list.map((p) => p.name).join(", ")}`),
    el("div", { class: "option-fields" }, ...list.map(field)));
}

function showForm() {
  const o = operation(), all = o.parameters ?? [];
  $("#try-summary").textContent = `${o.summary}.`;
  $("#try-fields").replaceChildren(...[
    ...all.filter((p) => p.required).map(field),
    bodyField(o), acceptField(o), optionFields(all.filter((p) => !p.required)),
  ].filter(Boolean));
  showCurl();
}

/* ---- what is asked ------------------------------------------------------- */

async function pictureOf() {
  const file = $("#try-file").files[0];
  return file ?? (await fetch(SAMPLE)).blob();
}

/** Path, headers and body of the form as it is; body may be a promise. */
function question() {
  const o = operation(), query = new URLSearchParams(), headers = {};
  let path = o.path;
  for (const p of o.parameters ?? []) {
    const value = $(`#try-${p.in}-${p.name}`).value.trim();
    if (p.in === "path")
      path = path.replace(`{${p.name}}`, encodeURIComponent(value));
    else if (value && p.in === "query") query.set(p.name, value);
    else if (value) headers[p.name] = value;
  }
  const accept = $("#try-accept")?.value;
  if (accept) headers.Accept = accept;
  if (takesPicture(o)) headers["Content-Type"] = "application/octet-stream";
  else if ($("#try-body")) headers["Content-Type"] = JSON_TYPE;
  const some = [...query].length ? `?${query}` : "";
  return { o, path: path + some, headers };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function showCurl() {
  const { o, path, headers } = question();
  const words = ["curl"];
  if (settings.get("key")) words.push('-H "Authorization: Bearer $KEY"');
  for (const [name, value] of Object.entries(headers))
    words.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (takesPicture(o))
    words.push(`--data-binary ${quoted(
      `@${$("#try-file").files[0]?.name ?? SAMPLE.split("/").pop()}`)}`);
  else if ($("#try-body")) words.push(`-d ${quoted($("#try-body").value)}`);
  else if (o.method !== "GET") words.push(`-X ${o.method}`);
  if (/^(image|audio)/.test(headers.Accept ?? answersOf(o)[0] ?? ""))
    words.push("-o answer");
  words.push(quoted(location.origin + path));
  $("#try-curl").textContent = words.join(" \\\n  ");
}

/* ---- the answer ---------------------------------------------------------- */

function pretty(text, type) {
  if (!type.startsWith(JSON_TYPE)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // tensors in bytes stand behind
  }
}

async function bodyOf(blob, type) {
  URL.revokeObjectURL(shownUrl);
  shownUrl = "";
  if (!blob.size) return el("p", {}, "Nothing more: the status is the answer.");
  if (/^(image|audio\/wav)/.test(type)) {
    shownUrl = URL.createObjectURL(blob);
    return type.startsWith("image")
      ? el("img", { src: shownUrl, alt: "The picture that was answered" })
      : el("audio", { src: shownUrl, controls: true,
        "aria-label": "The sound that was answered" });
  }
  if (/^(audio|application\/octet)/.test(type))
    return el("p", {}, "Bytes, to be saved.");
  const text = pretty(await blob.text(), type);
  const rest = text.length - MOST_SHOWN;
  return el("pre", { tabindex: "0", role: "region", "aria-label": "Body" },
    rest > 0 ? `${text.slice(0, MOST_SHOWN)}\n... ${rest} letters more`
      : text);
}

const endings = { "application/json": "json", "image/png": "png",
  "image/jpeg": "jpg", "image/webp": "webp", "audio/wav": "wav" };

async function showAnswer(got, blob, took) {
  const type = got.headers.get("Content-Type") ?? "";
  const line = `${got.status}${got.ok ? "" : ", an error"}, ` +
    `${blob.size.toLocaleString("en")} bytes in ${ms(took)}`;
  $("#try-status").textContent = line;
  $("#try-headers").replaceChildren(...[...got.headers].flatMap(
    ([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
  $("#try-answer-body").replaceChildren(await bodyOf(blob, type));
  $("#try-none").hidden = true;
  $("#try-answer").hidden = false;
  const ending = endings[type.split(";")[0]] ?? "txt";
  answer = { blob, name: `${operation().operationId}.${ending}` };
  $("#try-save").hidden = !blob.size;
  $("#try-status").scrollIntoView({ block: "nearest" });
  say(`Answered ${line}.`);
}

function showTrouble(text) {
  $("#try-none").textContent = text;
  $("#try-none").hidden = false;
  $("#try-answer").hidden = true;
  say(text);
}

async function ask() {
  running?.abort();
  const mine = (running = new AbortController());
  const { o, path, headers } = question();
  const start = performance.now();
  try {
    const body = takesPicture(o) ? await pictureOf() : $("#try-body")?.value;
    const got = await send(path, { method: o.method, headers, body,
      signal: mine.signal });
    const blob = await got.blob();
    if (running === mine)
      await showAnswer(got, blob, performance.now() - start);
  } catch (problem) {
    if (problem.name !== "AbortError") showTrouble(problem.message);
  }
}

/* ---- go ------------------------------------------------------------------ */

export function open() {
  const document = server.document;
  $("#try-columns").hidden = !document;
  $("#try-unknown").hidden = Boolean(document);
  $("#try-unknown").textContent = {
    gone: "The server cannot be reached, so nobody knows its routes.",
    key: "The server wants an API key before it tells its routes.",
  }[server.state] ?? "The server has not told its routes yet.";
  $("#try-models").replaceChildren(...server.models.map((m) =>
    el("option", { value: m.name })));
  if (!document || document === described) return;
  described = document;
  operations = listOperations(document);
  showRoutes();
  showForm();
}

chosen.addEventListener("change", showForm);
form.addEventListener("input", (event) => {
  if (event.target !== chosen) showCurl();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
$("#try-copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("#try-curl").textContent);
    say("Copied.");
  } catch {
    say("The browser does not let this page copy.");
  }
});
$("#try-save").addEventListener("click", () =>
  download(answer.blob, answer.name));
onServer(open);
