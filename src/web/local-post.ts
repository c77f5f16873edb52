export const storedAs = "shim-secret";

/**
 * No cookie: a browser sends those of 127.0.0.1 to every port, so to servers of others too.
 * The storage is that of this tab and this port.
 */
let secret = sessionStorage.getItem(storedAs) ?? "";

/** "": this tab has not signed in here. No Worker gives such a secret. */
export function keptSecret(): string {
  return secret;
}

export function keep(given: string): void {
  sessionStorage.setItem(storedAs, (secret = given));
}

/** Answers to reads that began before their view was there, by path and body. Each is used once. */
const early = new Map<string, Promise<Response>>();

export function readEarly(name: string, input: object): void {
  const [path, body] = ["/api/call", JSON.stringify({ name, input })];
  if (secret !== "") early.set(path + body, send(path, body));
  addEventListener("hashchange", () => early.clear(), { once: true });
}

export function post(path: string, given: object, signal?: AbortSignal): Promise<Response> {
  const body = JSON.stringify(given);
  const begun = early.get(path + body);
  early.delete(path + body);
  return begun ?? send(path, body, signal);
}

function send(path: string, body: string, signal?: AbortSignal): Promise<Response> {
  return fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${secret}` },
    body,
    ...(signal ? { signal } : {}),
  });
}
