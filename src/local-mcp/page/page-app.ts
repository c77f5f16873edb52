import { readdirSync, readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { compress } from "hono/compress";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { PageCall, type LiveLine } from "../../contract/live-page.ts";
import {
  isJson,
  loopbackApp,
  readObject,
  refuse,
  type LoopbackApp,
  type LoopbackContext,
} from "../../platform/loopback.ts";
import { messageOf } from "../../shared/error.ts";
import { dataHeaders, isFromPage } from "../../shared/page-security.ts";
import type { Result } from "../../shared/result.ts";
import { isSecret, secretHash } from "../../platform/secret-hash.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";
import { ChangeReports } from "./change-reports.ts";

interface PageParts {
  readonly files: ReadonlyMap<string, PageFile>;
  readonly feed: LiveFeed;
  readonly signIn: SignIn;
  readonly call: (given: PageCall) => Promise<Result<unknown>>;
  /** A page has to sign in, and the last link was used or is too old. */
  readonly onLinkNeeded: (origin: string) => void;
  readonly onProblem: (message: string) => void;
}

/** The live page. GET has the bundle only; all data takes the secret. */
export function pageApp(parts: PageParts): LoopbackApp {
  const { files, signIn, onLinkNeeded, onProblem } = parts;
  const app = loopbackApp();
  app.onError((error, context) => {
    onProblem(messageOf(error));
    return refuse(context, "internal", "SHIM failed");
  });
  servePageFiles(app, files);
  app.post("*", async (context, next) => {
    const { origins } = context.env;
    const sender = { origin: context.req.header("origin"), fetchSite: context.req.header("sec-fetch-site") };
    if (!isFromPage(sender, origins)) return refuse(context, "forbidden", "only the page itself may send this");
    return isJson(context) ? next() : refuse(context, "bad_input", "send application/json", 415);
  });
  app.post("/api/sign-in", async (context) => {
    const given = (await readObject(context))?.["token"];
    const token = typeof given === "string" ? given : "";
    const secret = signIn.exchange(token);
    if (secret !== null) return context.json({ secret });
    // A page that has a link first asks the other tabs, then again without it.
    if (token === "" && !signIn.hasToken) onLinkNeeded(context.env.origins[0] ?? "");
    return refuse(context, "unauthenticated", "the link was used already, or is older than a minute");
  });
  addCalls(app, parts);
  return app;
}

/** Each file at its path, and nothing else. */
export function servePageFiles(app: LoopbackApp, files: ReadonlyMap<string, PageFile>): void {
  // The files hold no secret, and may be read through a slow tunnel.
  app.get("*", compress());
  app.get("*", (context) => {
    const file = files.get(context.req.path);
    if (!file) return context.notFound();
    const caching = file.isForever ? "public, max-age=31536000, immutable" : "no-cache";
    return context.body(file.body, 200, { "content-type": file.type, "cache-control": caching });
  });
}

function addCalls(app: LoopbackApp, { feed, signIn, call }: PageParts): void {
  const signedIn =
    (answer: (context: LoopbackContext, caller: SignedIn) => Response | Promise<Response>) =>
    (context: LoopbackContext): Response | Promise<Response> => {
      const caller = signIn.find(context.req.header("authorization"));
      return caller ? answer(context, caller) : refuse(context, "unauthenticated", "this page is not signed in");
    };
  // Other sites cannot ask, so nothing is learnt from how short an answer becomes.
  app.use("/api/call", compress());
  app.post(
    "/api/call",
    signedIn(async (context) => {
      const given = PageCall.safeParse(await readObject(context));
      if (!given.success) return refuse(context, "bad_input", "the call has another form");
      const result = await call(given.data);
      return result.ok
        ? context.json(result.value as object)
        : refuse(context, result.error.code, result.error.message);
    }),
  );
  // The stream ends when the secret of its tab does.
  app.post(
    "/api/live",
    signedIn(({ env: { outgoing } }, { ended }) => {
      outgoing.writeHead(200, { ...dataHeaders, "content-type": "application/x-ndjson" });
      feed.add(outgoing);
      const end = (): void => feed.end(outgoing);
      ended.signal.addEventListener("abort", end);
      outgoing.on("close", () => ended.signal.removeEventListener("abort", end));
      return RESPONSE_ALREADY_SENT;
    }),
  );
  app.post(
    "/api/sign-out",
    signedIn((context, caller) => {
      signIn.signOut(caller);
      return context.json({});
    }),
  );
}

interface PageFile {
  readonly type: string;
  readonly body: Buffer<ArrayBuffer>;
  /** Its name has the hash of its content. */
  readonly isForever: boolean;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};

/**
 * Reads the built page. A request names an entry of this table, never a path of the disk.
 * @throws the system's error when the folder cannot be read
 */
export function readPageFiles(folder: string): ReadonlyMap<string, PageFile> {
  const files = readdirSync(folder).flatMap((name) => {
    const type = types[extname(name)];
    if (type === undefined) return [];
    const file = { type, body: readFileSync(join(folder, name)), isForever: name.startsWith("app-") };
    return [[name === "index.html" ? "/" : `/${name}`, file] as const];
  });
  return new Map(files);
}

const tokenLifeMs = 60_000;
const maxSignedIn = 50;
const secretBytes = 32;

/** One exchanged link. The signal is aborted when its secret is no longer valid. */
interface SignedIn {
  readonly hash: Buffer;
  readonly ended: AbortController;
}

/** One-time tokens of links, and the secrets that they were exchanged for. In memory only. */
export class SignIn {
  readonly #deps: Pick<Runtime, "now" | "random">;
  #token: { readonly hash: Buffer; readonly at: number } | null = null;
  #signedIn: readonly SignedIn[] = [];

  constructor(deps: Pick<Runtime, "now" | "random">) {
    this.#deps = deps;
  }

  /** A new token; the one before is no longer valid. */
  newToken(): string {
    const token = this.#secret();
    this.#token = { hash: secretHash(token), at: this.#deps.now() };
    return token;
  }

  /** A link was printed that is still good: another one would make it useless. */
  get hasToken(): boolean {
    return this.#token !== null && this.#isFresh(this.#token.at);
  }

  #isFresh(at: number): boolean {
    return isWithin(this.#deps.now() - at, tokenLifeMs);
  }

  /** @returns a new secret; null: the token is unknown, used or too old */
  exchange(given: string): string | null {
    const token = this.#token;
    if (!token || !isSecret(given, token.hash)) return null;
    this.#token = null;
    if (!this.#isFresh(token.at)) return null;
    const secret = this.#secret();
    this.#signedIn = [...this.#signedIn, { hash: secretHash(secret), ended: new AbortController() }];
    if (this.#signedIn.length > maxSignedIn) this.signOut(this.#signedIn[0]);
    return secret;
  }

  /** @param authorization header of a request */
  find(authorization = ""): SignedIn | undefined {
    const [, secret] = /^Bearer ([\w-]+)$/.exec(authorization) ?? [];
    return this.#signedIn.find((one) => isSecret(secret ?? "", one.hash));
  }

  signOut(signedIn: SignedIn | undefined): void {
    this.#signedIn = this.#signedIn.filter((one) => one !== signedIn);
    signedIn?.ended.abort();
  }

  #secret(): string {
    return Buffer.from(this.#deps.random(secretBytes)).toString("base64url");
  }
}

/** Least time between two lines to one page, in ms: each makes it read again. */
const gapMs = 1_000;
/** An empty line, so that a closed page is noticed. */
const pulseMs = 30_000;

type SetTimer = (work: () => void, ms: number) => () => void;

/** Tells each open page what may have changed; it then reads what it shows. */
export class LiveFeed {
  readonly #setTimer: SetTimer;
  readonly #open = new Map<ServerResponse, () => void>();
  readonly reports: ChangeReports;

  constructor(setTimer: SetTimer) {
    this.#setTimer = setTimer;
    const report = (changed: LiveLine["changed"]): void => {
      for (const response of this.#open.keys()) this.#write(response, { changed });
    };
    this.reports = new ChangeReports({ report, setTimer, gapMs });
  }

  get size(): number {
    return this.#open.size;
  }

  add(response: ServerResponse): void {
    this.#write(response, { changed: "all" });
    this.#open.set(response, () => undefined);
    this.#pulse(response);
    response.on("close", () => this.#forget(response));
  }

  end(response: ServerResponse): void {
    this.#forget(response);
    response.end();
  }

  #forget(response: ServerResponse): void {
    this.#open.get(response)?.();
    this.#open.delete(response);
  }

  changed(part: LiveLine["changed"]): void {
    if (this.#open.size > 0) this.reports.changed(part);
  }

  close(): void {
    this.reports.end();
    for (const response of this.#open.keys()) response.end();
  }

  #pulse(response: ServerResponse): void {
    const again = (): void => {
      response.write("\n");
      this.#pulse(response);
    };
    this.#open.set(response, this.#setTimer(again, pulseMs));
  }

  #write(response: ServerResponse, line: LiveLine): void {
    response.write(`${JSON.stringify(line)}\n`);
  }
}
