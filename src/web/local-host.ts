import type { LiveLine } from "../contract/live-page.ts";
import { refused, toAnswer, type Answer, type Host } from "./host.ts";

const retryMs = 2_000;

function post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
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

/** Exchanges the one-time token of the link for a cookie that no script can read. */
export function signInHere(token: string): Promise<Answer<object>> {
  return ask("/api/sign-in", { token });
}

export const localHost: Host = {
  kind: "machine",
  call: (name, input, requestId) => ask("/api/call", { name, input, ...(requestId ? { requestId } : {}) }),
  follow(onChange, onState) {
    const end = new AbortController();
    void followUntil(end.signal, onChange, onState);
    return () => end.abort();
  },
  async signOut() {
    await ask("/api/sign-out", {});
  },
};

async function followUntil(
  end: AbortSignal,
  onChange: (changed: LiveLine["changed"]) => void,
  onState: (isLive: boolean) => void,
): Promise<void> {
  while (!end.aborted) {
    try {
      const response = await post("/api/live", {}, end);
      onState(response.ok);
      if (response.status === 401) return;
      for await (const line of linesOf(response)) onChange(line.changed);
    } catch {
      // The process has ended, or the page follows no longer.
    }
    onState(false);
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

async function* linesOf(response: Response): AsyncGenerator<LiveLine> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield JSON.parse(line) as LiveLine;
  }
}
