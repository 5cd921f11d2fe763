// sw.js - keeps the page, so that it opens without a network.  The list is
// filled in when the program is built (cmake/OcEmbed.cmake); with it these
// bytes change, and browsers notice that there is a new page.

"use strict";

const files = [ // @OC_SHELL@
];

const hash = (list) => list.map(([, h]) => h.slice(0, 4)).join("");
const cacheName = `ocelli-${hash(files)}`;
const paths = new Set(files.map(([path]) => path));

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(cacheName);
    // Past the browser's own cache, or old and new would mix.
    await cache.addAll(files.map(([path]) =>
      new Request(path, { cache: "reload" })));
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("ocelli-") && name !== cacheName)
        await caches.delete(name);
    }
    await self.clients.claim();
  })());
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  // Questions to the server are none of our business.
  if (event.request.method !== "GET" || url.origin !== location.origin ||
      !paths.has(url.pathname)) return;
  event.respondWith((async () => {
    const cache = await caches.open(cacheName);
    return (await cache.match(url.pathname)) ?? fetch(event.request);
  })());
});
