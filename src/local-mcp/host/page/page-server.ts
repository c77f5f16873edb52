import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { statusOf, type HostErrorCode } from "../../../contract/errors.ts";
import { PageCall } from "../../../contract/live-page.ts";
import { messageOf } from "../../../shared/error.ts";
import {
  checkPageRequest,
  dataHeaders,
  loopbackOrigins,
  pageHeaders,
  type PageRequest,
} from "../../../shared/page-security.ts";
import * as loopbackServer from "../../../platform/loopback-server.ts";
import { parseObject } from "../../../shared/json-fields.ts";
import type { Result } from "../../../shared/result.ts";
import type { LiveFeed } from "./live-feed.ts";
import type { PageFile } from "./page-files.ts";
import { SignIn, type SignedIn } from "./sign-in.ts";

const maxBodyBytes = 1_048_576;

export interface PageError {
  readonly code: HostErrorCode;
  readonly message: string;
}

export interface PageServerDeps {
  readonly files: ReadonlyMap<string, PageFile>;
  readonly feed: LiveFeed;
  readonly now: () => number;
  readonly random: (bytes: number) => Uint8Array;
  readonly call: (given: PageCall) => Promise<Result<unknown, PageError>>;
  /** A page has to sign in, and the last link was used or is too old. */
  readonly onLinkNeeded: () => void;
  readonly onProblem: (message: string) => void;
}

/** [WP1] Serves the live page on loopback. GET has the bundle only; all data takes the secret. */
export class PageServer {
  readonly #deps: PageServerDeps;
  readonly #server: Server;
  readonly #signIn: SignIn;
  #origins: readonly string[] = [];

  constructor(deps: PageServerDeps) {
    this.#deps = deps;
    this.#signIn = new SignIn(deps);
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        deps.onProblem(messageOf(error));
        if (!response.headersSent) sendJson(response, 500, { error: { code: "internal", message: "SHIM failed" } });
        response.end();
      });
    });
  }

  /**
   * @param port 0: any free one
   * @throws the system's error, such as EADDRINUSE
   * @returns the port
   */
  async listen(port: number): Promise<number> {
    const bound = await loopbackServer.listen(this.#server, "127.0.0.1", port);
    this.#origins = loopbackOrigins(bound);
    return bound;
  }

  /** A link that signs in once, within a minute. The fragment is never sent, so never logged. */
  newLink(): string {
    return `${this.#origins[0]}/#t=${this.#signIn.newToken()}`;
  }

  async close(): Promise<void> {
    this.#deps.feed.close();
    await loopbackServer.close(this.#server);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    const refusal = checkPageRequest(toPageRequest(request), this.#origins);
    if (refusal) return sendJson(response, refusal.status, { error: { code: "forbidden", message: refusal.message } });
    if (method === "GET" || method === "HEAD") return this.#sendFile(method, url, response);
    return method === "POST" ? this.#handlePost(url, request, response) : notFound(response);
  }

  async #handlePost(url: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (url === "/api/sign-in") return this.#exchange(request, response);
    const signedIn = this.#signIn.find(request.headers.authorization);
    if (!signedIn) return unauthenticated(response, "this page is not signed in");
    if (url === "/api/call") return this.#call(request, response);
    if (url === "/api/live") return this.#follow(response, signedIn);
    if (url !== "/api/sign-out") return notFound(response);
    this.#signIn.signOut(signedIn);
    return sendJson(response, 200, {});
  }

  #sendFile(method: string, url: string, response: ServerResponse): void {
    const file = this.#deps.files.get(url);
    if (!file) return notFound(response);
    const caching = file.isForever ? "public, max-age=31536000, immutable" : "no-cache";
    response.writeHead(200, { ...pageHeaders, "content-type": file.type, "cache-control": caching });
    response.end(method === "HEAD" ? undefined : file.body);
  }

  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readObject(request);
    const token = body !== null && "token" in body && typeof body["token"] === "string" ? body["token"] : "";
    const secret = this.#signIn.exchange(token);
    if (secret !== null) return sendJson(response, 200, { secret });
    // A page that has a link first asks the other tabs, then again without it.
    if (token === "" && !this.#signIn.hasToken) this.#deps.onLinkNeeded();
    return unauthenticated(response, "the link was used already, or is older than a minute");
  }

  async #call(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = PageCall.safeParse(await readObject(request));
    if (!given.success)
      return sendJson(response, 400, { error: { code: "bad_input", message: "the call has another form" } });
    const result = await this.#deps.call(given.data);
    if (result.ok) return sendJson(response, 200, result.value);
    const { code, message } = result.error;
    sendJson(response, statusOf(code), { error: { code, message } });
  }

  /** [WP51] The stream ends when the secret of its tab does. */
  #follow(response: ServerResponse, { ended }: SignedIn): void {
    response.writeHead(200, { ...dataHeaders, "content-type": "application/x-ndjson" });
    this.#deps.feed.add(response);
    const end = (): void => this.#deps.feed.end(response);
    ended.signal.addEventListener("abort", end);
    response.on("close", () => ended.signal.removeEventListener("abort", end));
  }
}

function toPageRequest({ method = "", headers }: IncomingMessage): PageRequest {
  const { host, origin, "sec-fetch-site": fetchSite, "content-type": contentType } = headers;
  return { method, host, origin, fetchSite: textOf(fetchSite), contentType };
}

function textOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === "string" ? header : header?.join();
}

function notFound(response: ServerResponse): void {
  sendJson(response, 404, { error: { code: "unknown_operation", message: "there is nothing here" } });
}

function unauthenticated(response: ServerResponse, message: string): void {
  sendJson(response, 401, { error: { code: "unauthenticated", message } });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { ...dataHeaders, "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

/** @returns null for a body that is no JSON object, or too large */
async function readObject(request: IncomingMessage): Promise<Record<string, unknown> | null> {
  const body = await loopbackServer.readBody(request, maxBodyBytes);
  return body && parseObject(body.toString());
}
