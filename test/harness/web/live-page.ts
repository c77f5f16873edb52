import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
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

interface RawRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export function sendRaw(port: number, { method = "POST", path, headers = {}, body }: RawRequest) {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number;
    headers: IncomingHttpHeaders;
    text: string;
  }>();
  const request = httpRequest(
    { host: "127.0.0.1", port, method, path, headers, setHost: false, agent: false },
    (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    },
  );
  request.on("error", reject);
  request.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  return promise;
}

/** Headers of a request that the page itself sends. */
type Headers = Readonly<Record<string, string>>;

export function ownHeaders({ port, origin }: ServedPage, more: Headers = {}): Headers {
  const own = { host: `127.0.0.1:${port}`, origin, "sec-fetch-site": "same-origin" };
  return { ...own, "content-type": "application/json", ...more };
}

/** Exchanges the token of the newest link. @returns the header that a page sends from then on */
export async function signIn(page: ServedPage): Promise<string> {
  const body = { token: page.token() };
  const { text } = await sendRaw(page.port, { path: "/api/sign-in", headers: ownHeaders(page), body });
  return `Bearer ${(JSON.parse(text) as { secret?: string }).secret}`;
}

export async function callAs(
  page: ServedPage,
  authorization: string,
  call: { readonly name: string; readonly input?: object; readonly requestId?: string },
): Promise<{ readonly status: number; readonly value: Record<string, unknown> }> {
  const headers = ownHeaders(page, { authorization });
  const { status, text } = await sendRaw(page.port, { path: "/api/call", headers, body: { input: {}, ...call } });
  return { status, value: JSON.parse(text) as Record<string, unknown> };
}
