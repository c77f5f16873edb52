/** Shows notifications, and the page without a network. It keeps files of the page, and no data. */

const scope = self as unknown as ServiceWorkerGlobalScope;

const shell = "shim-shell";

interface Shown {
  readonly title: string;
  readonly body: string;
  readonly tag: string;
  readonly url: string;
}

scope.addEventListener("install", (event) => {
  event.waitUntil(keepShell());
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(scope.clients.claim());
});

async function keepShell(): Promise<void> {
  const cache = await caches.open(shell);
  const page = await fetch("/", { cache: "no-cache" });
  const text = await page.clone().text();
  const files = [...text.matchAll(/(?:href|src)="(\/[\w.-]+)"/g)].map(([, path = ""]) => path);
  await cache.put("/", page);
  await cache.addAll(files);
  await scope.skipWaiting();
}

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate" && pathname === "/") event.respondWith(fromNetwork(request));
  else if (/^\/(?:app-[\w-]+\.(?:js|css)|icon\.svg|manifest\.webmanifest)$/.test(pathname))
    event.respondWith(fromCache(request));
});

/** The newest page where the network is there. */
async function fromNetwork(request: Request): Promise<Response> {
  const cache = await caches.open(shell);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put("/", answer.clone());
    return answer;
  } catch {
    return (await cache.match("/")) ?? Response.error();
  }
}

/** A file's name has the hash of its content. */
async function fromCache(request: Request): Promise<Response> {
  const cache = await caches.open(shell);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

scope.addEventListener("push", (event) => {
  if (event.data === null) return;
  const { title, body, tag, url } = event.data.json() as Shown;
  event.waitUntil(scope.registration.showNotification(title, { body, tag, icon: "/icon.svg", data: url }));
});

scope.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(openPage(String(event.notification.data)));
});

async function openPage(path: string): Promise<void> {
  const url = new URL(path, location.origin);
  if (url.origin !== location.origin) return;
  const [open] = await scope.clients.matchAll({ type: "window" });
  await (open ? open.navigate(url.href).then((client) => client?.focus()) : scope.clients.openWindow(url.href));
}
