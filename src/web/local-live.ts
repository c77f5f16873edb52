import type { LiveLine } from "../contract/live-page.ts";
import { brokenCode, type Line, type LineEvents } from "../pairing/connection.ts";
import type { OnChange, OnState } from "./backend.ts";
import { keepLive } from "./keep-live.ts";

/** Apart from the backend: the first view needs no connection. */

type Post = (path: string, body: object, signal: AbortSignal) => Promise<Response>;

/** Follows this machine until `end`. */
export function followHere(post: Post, onChange: OnChange, onState: OnState, end: AbortSignal): void {
  const open = (events: LineEvents): Line => {
    const stream = new AbortController();
    const begin = async (): Promise<void> => {
      const status = await attend(post("/api/live", {}, stream.signal), events, onChange);
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
}

/** One stream, until it ends. @returns its status; null: it was not answered */
async function attend(answer: Promise<Response>, events: LineEvents, onChange: OnChange): Promise<number | null> {
  const response = await answer.catch(() => null);
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
