// app.js - begins here: pages by address, keys, the server's state, and the
// service worker that makes the page work without a network.

import { meet, onServer, server } from "./api.js";
import * as about from "./about.js";
import * as bench from "./bench.js";
import { openDialog } from "./dialogs.js";
import * as disaster from "./disaster.js";
import { $, $$ } from "./dom.js";
import "./front.js";
import { say } from "./say.js";
import * as settings from "./settings.js";
import { openShot } from "./shot.js";
import * as speech from "./speech.js";
import { tasks } from "./tasks.js";
import * as tryout from "./tryout.js";

/* ---- pages ------------------------------------------------------------------- */

const pages = {
  ...Object.fromEntries(Object.keys(tasks).map((id) =>
    [id, { section: "bench", title: tasks[id].title,
      open: () => bench.open(id) }])),
  disaster: { section: "disaster", title: "Disaster", open: disaster.open },
  api: { section: "api", title: "API", open: tryout.open },
  about: { section: "about", title: "About", open: about.open },
};

let opened = null;

function openPage(first) {
  const id = location.hash.replace(/^#\//, "");
  if (id === "front") {
    // A shortcut on the home screen leads here.
    history.replaceState(null, "", "#/describe");
    openPage(first);
    openDialog("front");
    return;
  }
  const page = pages[id] ?? pages.recognise;
  if (page === opened) return;
  opened = page;
  speech.stop();
  for (const section of $$(".page")) section.hidden = section.id !==
    page.section;
  for (const link of $$(".pages a, .menu-list a")) {
    const here = link.hash === `#/${pages[id] ? id : "recognise"}`;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${page.title} - ocelli`;
  page.open();
  scrollTo(0, 0);
  // A new page is read from its heading, as if it had been loaded.
  if (!first) $(`#${page.section} h1`).focus();
}

/* ---- keys ------------------------------------------------------------------------ */

const single = {
  w: () => openDialog("front"),
  s: () => (opened === pages.disaster ? disaster.speakVerdict()
    : opened.section === "bench" ? bench.speakResult() : undefined),
  r: speech.repeat,
  o: () => (opened.section === "bench" ? bench.chooseFile() : undefined),
  "?": () => openDialog("help"),
};

// A field of a dialog that was closed may still have the focus.
const isTyping = (node) =>
  node.checkVisibility?.() &&
  node.matches('input:not([type="checkbox"], [type="radio"]), select, ' +
    "textarea, [contenteditable]");

addEventListener("keydown", (event) => {
  // Silence comes first, whatever else Escape does.
  if (event.key === "Escape") speech.stop();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!settings.get("keys") || isTyping(event.target)) return;
  const inFront = $("#front").open;
  if ($("dialog[open]") && !(inFront && event.key.toLowerCase() === "r"))
    return;
  const act = single[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

/* ---- the server -------------------------------------------------------------------- */

const states = {
  wait: "Looking for the server",
  ready: "Server ready",
  key: "API key needed",
  busy: "Server is busy",
  gone: "Server out of reach",
};

let toldGone = false;

function showServer() {
  $(".server").dataset.state = server.state;
  $(".server-text").textContent = states[server.state];
  if (server.state === "gone" && !toldGone)
    say("The server cannot be reached. The page works, but nothing can look " +
      "at pictures until the server is back.");
  if (server.state === "ready" && toldGone) say("The server is back.");
  toldGone = server.state === "gone";
}

const LOOK_EVERY_MS = 15e3;

function watchServer() {
  onServer(showServer);
  meet();
  setInterval(() => {
    if (!document.hidden) meet();
  }, LOOK_EVERY_MS);
  addEventListener("online", meet);
  addEventListener("offline", meet);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) meet();
  });
}

/* ---- without a network ---------------------------------------------------------------- */

// The policy of the page lets only this one address become a worker.
const policy = globalThis.trustedTypes?.createPolicy("ocelli", {
  createScriptURL: (url) => {
    if (url !== "/sw.js") throw new TypeError(`no worker at ${url}`);
    return url;
  },
});

async function keepPage() {
  if (!navigator.serviceWorker) return; // no https
  const url = policy ? policy.createScriptURL("/sw.js") : "/sw.js";
  const registration = await navigator.serviceWorker.register(url);
  const offer = (worker) => worker.addEventListener("statechange", () => {
    // The first one takes nobody's place.
    if (worker.state === "installed" && navigator.serviceWorker.controller) {
      $("#news").hidden = false;
      say("A newer version of this page is ready.");
    }
  });
  registration.addEventListener("updatefound", () =>
    offer(registration.installing));
  if (registration.waiting) $("#news").hidden = false;
  $("#news-take").addEventListener("click", () =>
    registration.waiting?.postMessage("take over"));
  const had = navigator.serviceWorker.controller;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (had) location.reload();
  });
}

/* ---- go ------------------------------------------------------------------------------- */

$("#skip").addEventListener("click", (event) => {
  event.preventDefault(); // addresses are pages here
  $("#main").focus();
});
$("#camera").addEventListener("click", () => openShot(bench.takePicture));
// What misses its zone must not replace the page.
for (const name of ["dragover", "drop"])
  addEventListener(name, (event) => event.preventDefault());
addEventListener("hashchange", () => openPage(false));
openPage(true);
watchServer();
keepPage().catch(() => {}); // a private window may forbid it: no harm
