// Keeps the page and its icons, so that it opens without network. Its name changes with the page's content.
"use strict";

const NAME = "pocketscope-[[digest]]";
const FILES = ["./", "index.html", "manifest.webmanifest", "icon-192.png", "icon-512.png"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const mine = new URL(self.registration.scope).pathname; // other models of the same server keep theirs
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (!name.startsWith("pocketscope-") || name === NAME) continue;
      const kept = await (await caches.open(name)).keys();
      if (kept.some((request) => new URL(request.url).pathname === mine)) await caches.delete(name);
    }
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(caches.open(NAME).then((cache) => cache.match(event.request, {ignoreSearch: true})).then((kept) => kept || fetch(event.request)));
});
