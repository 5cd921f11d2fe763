// api.js - the server: what it can do, its models, and questions to it.

import * as settings from "./settings.js";

/** kind: gone, key, busy, late, missing, refused. */
export class Trouble extends Error {
  constructor(kind, message, status = 0) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

export const server = {
  state: "wait", // wait, ready, key, gone
  models: [],
  routes: null, // paths, where it told them
  document: null, // which tells of them (OpenAPI)
  version: "",
};

const events = new EventTarget();
export const onServer = (what) => events.addEventListener("change", what);

function become(state) {
  const changed = state !== server.state;
  server.state = state;
  if (changed) events.dispatchEvent(new Event("change"));
}

/** Whether the server has a route; true while nobody knows. */
export const has = (path) => !server.routes || server.routes.has(path);

const kinds = { 401: "key", 404: "missing", 429: "busy", 503: "busy",
  504: "late" };

async function refusal(answer) {
  let sentence = `The server answered ${answer.status}.`;
  try {
    sentence = (await answer.json()).error || sentence;
  } catch {
    // A proxy's page, perhaps; the number says enough.
  }
  if (answer.status === 401) {
    become("key");
    sentence = settings.get("key")
      ? "The server does not know this API key."
      : "The server wants an API key.";
  }
  return new Trouble(kinds[answer.status] ?? "refused", sentence,
    answer.status);
}

/** fetch() to our server, with the key, whatever it answers. */
export async function send(path, options = {}) {
  const headers = new Headers(options.headers);
  const key = settings.get("key");
  if (key) headers.set("Authorization", `Bearer ${key}`);
  try {
    return await fetch(path, { ...options, headers, cache: "no-store" });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    become("gone");
    throw new Trouble(
      "gone",
      "The server cannot be reached, so nothing can look at pictures now. " +
        "The page itself works, and your picture stays here.",
    );
  }
}

/** The same; throws Trouble for what is no success. */
export async function ask(path, options) {
  const answer = await send(path, options);
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** Asks who is there; never throws. */
export async function meet() {
  try {
    const list = await (await ask("/v2/models")).json();
    if (!server.routes) await learnRoutes();
    const changed = JSON.stringify(list.models) !==
      JSON.stringify(server.models);
    server.models = list.models;
    if (changed) server.state = "wait"; // so that all are told
    become("ready");
  } catch (problem) {
    if (problem.kind && problem.kind !== "gone" && problem.kind !== "key")
      become("busy");
  }
  return server.state;
}

async function learnRoutes() {
  const document = await (await ask("/openapi.json")).json();
  server.document = document;
  server.routes = new Set(Object.keys(document.paths));
  server.version = document.info.version;
}

/** A picture to a task: the JSON, or with accept a Blob. */
export async function look(task, blob, query, { accept, signal } = {}) {
  // What is not known is left to the server.
  const given = Object.entries(query).filter(([, v]) => v !== undefined);
  const answer = await ask(`/v1/${task}?${new URLSearchParams(given)}`, {
    method: "POST",
    body: blob,
    headers: {
      "Content-Type": "application/octet-stream",
      Accept: accept ?? "application/json",
    },
    signal,
  });
  return accept ? answer.blob() : answer.json();
}
