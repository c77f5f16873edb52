import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { text as textFrom } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { type CliHome, launchIn } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";

export const built = join(import.meta.dirname, "..", "..", "..", "dist");

/** Files as a build makes them, for tests that need none of the real ones. */
export function fakeBundle(home: CliHome): void {
  write(join(home.folder, "app", "dist", "web"), {
    "index.html": "<!doctype html><title>SHIM</title>",
    "app-12345678.js": "export {};",
    _headers: "/*",
  });
}

export type ServedPage = Awaited<ReturnType<typeof servePage>>;

/** `shim up --web`, until the test ends. */
export async function servePage(home: CliHome, { isBuilt = false } = {}) {
  const stop = new AbortController();
  const { promise: printed, resolve } = Promise.withResolvers<void>();
  let out = "";
  const launch = launchIn(home.folder);
  const stopped = new Promise<void>((done) => stop.signal.addEventListener("abort", () => done()));
  const ran = home.shimWith(
    {
      stdout: (text) => {
        out += text;
        resolve();
      },
      interrupted: () => stop.signal,
      wait: () => stopped,
      launch: isBuilt ? { ...launch, hookScript: join(built, "hook.cjs") } : launch,
    },
    "up --web",
  );
  const end = async (): Promise<void> => {
    stop.abort();
    await ran;
  };
  onTestFinished(end);
  const early = await Promise.race([printed, ran]);
  if (early) throw new Error(`the page was not served: ${early.err}`);
  const link = (): string => /http:\/\/[^\s"]+/g.exec(out.split("\n").toReversed().join("\n"))?.[0] ?? "";
  const { origin, port } = new URL(link());
  return { origin, port: Number(port), link, token: () => new URL(link()).hash.slice(3), stop: end };
}

/** A request as the page itself sends it. */
function post({ origin }: ServedPage, path: string, body: object, more: Record<string, string> = {}) {
  const headers = { origin, "sec-fetch-site": "same-origin", "content-type": "application/json", ...more };
  return fetch(`${origin}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

/** Exchanges the token of the newest link. @returns the header that a page sends from then on */
export async function signIn(page: ServedPage): Promise<string> {
  const answer = (await (await post(page, "/api/sign-in", { token: page.token() })).json()) as { secret?: string };
  return `Bearer ${answer.secret}`;
}

type Call = Readonly<{ name: string; input?: object; requestId?: string }>;

export async function callAs(page: ServedPage, authorization: string, call: Call) {
  const answer = await post(page, "/api/call", { input: {}, ...call }, { authorization });
  return { status: answer.status, value: (await answer.json()) as Record<string, unknown> };
}

interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** A request whose headers are these alone, `Host` too. */
export function sendRaw(port: number, { method = "POST", path, headers = {}, body }: RawRequest) {
  type Answer = { status: number; headers: IncomingHttpHeaders; text: string };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = httpRequest(
    { host: "127.0.0.1", port, method, path, headers, setHost: false, agent: false },
    (response) => {
      const { statusCode: status = 0, headers: given } = response;
      textFrom(response).then((text) => resolve({ status, headers: given, text }), reject);
    },
  );
  request.on("error", reject);
  request.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  return promise;
}
