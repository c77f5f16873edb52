import type { LiveLine } from "../contract/live-page.ts";
import { brokenCode, type Line, type LineEvents } from "../pairing/connection.ts";
import { refused, toAnswer, type Answer, type Backend, type OnChange } from "./backend.ts";
import { keepLive } from "./keep-live.ts";

const otherTabsMs = 300;
const storedAs = "shim-secret";

/**
 * No cookie: a browser sends those of 127.0.0.1 to every port, so to servers of others too.
 * The storage is that of this tab and this port.
 */
let secret = sessionStorage.getItem(storedAs) ?? "";

/** A tab that has signed in here; no Worker gives such a secret. */
export function hasSecret(): boolean {
  return secret !== "";
}

function keep(given: string): void {
  sessionStorage.setItem(storedAs, (secret = given));
}

function post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${secret}` },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
}

async function ask<T>(path: string, body: unknown): Promise<Answer<T>> {
  try {
    return await toAnswer<T>(await post(path, body));
  } catch {
    return refused("unreachable", "`shim up --web` does not answer: has it ended?");
  }
}

/** Shared by the tabs of this port only. Null asks for the secret. */
const tabs = new BroadcastChannel(storedAs);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has one origin
const send = (data: string | null): void => tabs.postMessage(data);

/** @param token of the link, if one was opened. @returns why this tab is not signed in */
export async function signIn(token?: string): Promise<string | null> {
  const answer = token === undefined ? null : await ask<{ secret: string }>("/api/sign-in", { token });
  const { promise, resolve } = Promise.withResolvers<string>();
  tabs.addEventListener("message", ({ data }) => (data === null ? secret && send(secret) : resolve(String(data))));
  if (answer?.ok) keep(answer.value.secret);
  else if (secret === "") {
    send(null);
    setTimeout(() => resolve(""), otherTabsMs);
    keep(await promise);
  }
  return answer?.ok === false && secret === "" ? answer.error.message : null;
}

/** The terminal prints a link, unless one that it has printed is still good. */
export function requestLink(): void {
  keep("");
  void ask("/api/sign-in", {});
}

export const localBackend: Backend = {
  kind: "machine",
  canAnswer: true,
  call: (name, input, requestId) => ask("/api/call", { name, input, ...(requestId ? { requestId } : {}) }),
  follow(onChange, onState, end) {
    const open = (events: LineEvents): Line => {
      const stream = new AbortController();
      const begin = async (): Promise<void> => {
        const status = await attend(stream.signal, events, onChange);
        events.onDown(brokenCode);
        if (status !== 401) return;
        connection.end();
        // The next read of the view is refused, which shows how to sign in.
        onChange("all");
      };
      void begin();
      // Any answer is a sign.
      const ping = (): void => void fetch("/", { method: "HEAD" }).then(events.onHeard, () => undefined);
      return { ping, close: () => stream.abort() };
    };
    const connection = keepLive({ open, onState, end, why: "shim up --web does not answer" });
  },
  async signOut() {
    await ask("/api/sign-out", {});
    keep("");
  },
};

/** One stream, until it ends. @returns its status; null: it was not answered */
async function attend(end: AbortSignal, events: LineEvents, onChange: OnChange): Promise<number | null> {
  const response = await post("/api/live", {}, end).catch(() => null);
  if (response?.ok !== true) return response?.status ?? null;
  events.onUp();
  try {
    for await (const line of linesOf(response, events.onHeard)) onChange(line.changed);
  } catch {
    // The process has ended, or the page follows no longer.
  }
  return response.status;
}

async function* linesOf(response: Response, onHeard: () => void): AsyncGenerator<LiveLine> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    onHeard();
    const lines = (rest + part.value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield JSON.parse(line) as LiveLine;
  }
}
