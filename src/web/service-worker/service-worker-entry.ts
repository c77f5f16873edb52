/** Shows notifications, and the page without a network. It keeps files of the page, and no data. */

declare const self: ServiceWorkerGlobalScope;

/** Set by the build: paths of the page's files, and a hash of their contents. */
declare const pageFiles: readonly string[];
declare const pageVersion: string;

const prefix = "shim-page-";
const cacheName = `${prefix}${pageVersion}`;
/** A network that is slower is used as none, in ms. */
const patienceMs = 4_000;
const kept = new Set(pageFiles);

self.addEventListener("install", (event) => {
  event.waitUntil(keepPage());
});

async function keepPage(): Promise<void> {
  const cache = await caches.open(cacheName);
  await cache.addAll(["/", ...pageFiles].map((path) => new Request(path, { cache: "no-cache" })));
  await self.skipWaiting();
}

self.addEventListener("activate", (event) => {
  event.waitUntil(removeOthers());
});

async function removeOthers(): Promise<void> {
  const names = await caches.keys();
  const others = names.filter((name) => name.startsWith(prefix) && name !== cacheName);
  await Promise.all(others.map((name) => caches.delete(name)));
  await self.clients.claim();
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (pathname === "/" && request.mode === "navigate") event.respondWith(newestPage(request));
  else if (kept.has(pathname)) event.respondWith(fromCache(request));
});

async function newestPage(request: Request): Promise<Response> {
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(patienceMs) });
    if (answer.ok) return answer;
  } catch {
    // No network, or one that is too slow.
  }
  return (await (await caches.open(cacheName)).match("/")) ?? Response.error();
}

async function fromCache(request: Request): Promise<Response> {
  return (await (await caches.open(cacheName)).match(request)) ?? fetch(request);
}

/** Payload of a message of the machine. */
interface Shown {
  readonly title: string;
  readonly body: string;
  readonly tag: string;
  readonly url: string;
}

self.addEventListener("push", (event) => {
  const { title, body, tag, url } = readShown(event.data);
  event.waitUntil(self.registration.showNotification(title, { body, tag, icon: "/icon.png", data: url }));
});

/** A browser demands that each message shows something. */
function readShown(data: PushMessageData | null): Shown {
  const unreadable = { title: "SHIM", body: "A chat needs you.", tag: "shim", url: "/" };
  try {
    return { ...unreadable, ...(data?.json() as Partial<Shown>) };
  } catch {
    return unreadable;
  }
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openPage(String(event.notification.data)));
});

async function openPage(path: string): Promise<void> {
  const { origin, href } = new URL(path, location.origin);
  if (origin !== location.origin) return;
  const [open] = await self.clients.matchAll({ type: "window" });
  const moved = await open?.navigate(href).catch(() => null);
  await (moved ? moved.focus() : self.clients.openWindow(href));
}
