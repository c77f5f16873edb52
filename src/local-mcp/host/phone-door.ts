import { existsSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { Hono } from "hono";
import { WebSocketServer, type WebSocket } from "ws";
import type { z } from "zod";
import {
  maxPhoneFrameChars,
  maxPhonePages,
  phoneFrameLimits,
  phoneProtocol,
  type RelayFrame,
} from "../../contract/phone-frames.ts";
import { PhoneClaimant, PhoneIntroduction, type PhoneGrant, type PhoneStatus } from "../../contract/phones.ts";
import { closeCodes, pingText, pongText } from "../../contract/sockets.ts";
import type { Socket, SocketEvents } from "../../coordinator-client/edge/platform.ts";
import type { OwnRelay } from "../../machine/context/pairing-relay.ts";
import { changePhones, readPhones, type PairedPhone } from "../../machine/sharing/phones/phone-file.ts";
import { randomText } from "../../pairing/sealing.ts";
import {
  isJson,
  listenOnLoopback,
  readObject,
  refuse,
  type Listening,
  type LoopbackApp,
  type LoopbackContext,
} from "../../platform/loopback.ts";
import { isSecret } from "../../platform/secret-hash.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { FrameBound } from "../../shared/frame-bound.ts";
import { dataHeaders, isFromPage } from "../../shared/page-security.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { readPageFiles, servePageFiles } from "../page/page-app.ts";

/** Where the address of a user leads, if no other port was named. */
const defaultPort = 7446;
/** Time in which the address of the user has to lead here, in ms. */
const reachMs = 4_000;
const over = { code: "unknown_phone", message: "this pairing is over: run `shim pair` again" } as const;

/** A link that was printed, until a phone has its grant. */
interface Begun {
  readonly claimHash: string;
  readonly until: number;
  claimant: string | null;
  introduction: string | null;
  grant: string | null;
}

/**
 * The page and the relay of a coordinator, for phones that reach this machine over a tunnel or a
 * proxy of its user. It listens on loopback alone, and answers nothing else.
 */
export class PhoneDoor implements OwnRelay {
  readonly #runtime: Runtime;
  /** By which the door knows its own answer. */
  readonly #mark = randomText(16);
  readonly #begun = new Map<string, Begun>();
  readonly #machines = new Map<string, SocketEvents>();
  readonly #pages = new Map<string, Set<WebSocket>>();
  /** For all pages of a phone, also those that it has closed. */
  readonly #bounds = new Map<string, FrameBound>();
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: maxPhoneFrameChars,
    handleProtocols: () => phoneProtocol,
  });
  #listening: Listening | null = null;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  async open(given?: number): Promise<Result<{ readonly port: number }>> {
    const { paths, now } = this.#runtime;
    const port = given ?? readPhones(paths.home).port ?? defaultPort;
    if (this.#listening?.port === port) return ok({ port });
    if (!existsSync(this.#folder))
      return fail("no_page", "the page is not built in this copy of SHIM: `npm run build`.");
    const listening = await listenOnLoopback(this.#app(), {
      port,
      onUpgrade: (...asked) => this.#connect(...asked),
    });
    if (!listening.ok) return fail("port_unusable", `${listening.error}: give another one with --port.`);
    await this.#listening?.close();
    this.#listening = listening.value;
    changePhones(paths.home, now(), (file) => ({ ...file, port: listening.value.port }));
    return ok({ port: listening.value.port });
  }

  async close(): Promise<void> {
    for (const pages of this.#pages.values()) for (const page of pages) page.terminate();
    const listening = this.#listening;
    this.#listening = null;
    await listening?.close();
  }

  async isReachedAt(url: string): Promise<boolean> {
    const signal = AbortSignal.timeout(reachMs);
    const answer = await fetch(`${url}/health`, { redirect: "error", signal }).catch(() => null);
    const health = (await answer?.json().catch(() => null)) as { door?: unknown } | null | undefined;
    return health?.door === this.#mark;
  }

  create(claimHash: string, forMs: number): Promise<Result<{ id: string }>> {
    const id = randomText(33);
    const until = this.#runtime.now() + forMs;
    this.#begun.set(id, { claimHash, until, claimant: null, introduction: null, grant: null });
    return Promise.resolve(ok({ id }));
  }

  status(id: string): Promise<Result<PhoneStatus>> {
    const begun = this.#begun.get(id);
    const endsInMs = (begun?.until ?? 0) - this.#runtime.now();
    if (begun === undefined || endsInMs <= 0) return Promise.resolve(fail(over.code, over.message));
    return Promise.resolve(ok({ introduction: begun.introduction, isPaired: begun.grant !== null, endsInMs }));
  }

  /** The phones of this machine have the hash of the access secret. */
  grant(id: string, { grant }: PhoneGrant): Promise<Result<object>> {
    const begun = this.#begun.get(id);
    if (begun === undefined) return Promise.resolve(fail(over.code, over.message));
    begun.grant = grant;
    return Promise.resolve(ok({}));
  }

  end({ id }: { readonly id: string }): Promise<Result<object>> {
    this.#begun.delete(id);
    for (const page of this.#pagesOf(id)) page.close(closeCodes.token, "the pairing is over");
    return Promise.resolve(ok({}));
  }

  /** The machine's end of the relay. */
  connectMachine(id: string, events: SocketEvents): Socket {
    this.#machines.set(id, events);
    queueMicrotask(() => {
      if (this.#machines.get(id) !== events) return;
      events.onOpen();
      this.#announce(id);
    });
    return {
      send: (text) => {
        if (text === pingText) return events.onText(pongText);
        for (const page of this.#pagesOf(id)) page.send(text);
      },
      close: () => {
        if (this.#machines.get(id) === events) this.#machines.delete(id);
        this.#announce(id);
      },
    };
  }

  /** Folder of the built page. */
  get #folder(): string {
    return join(dirname(this.#runtime.launch.hookScript), "web");
  }

  #app(): LoopbackApp {
    const app: LoopbackApp = new Hono();
    app.notFound((context) => refuse(context, "unknown_operation", "there is nothing here"));
    app.use((context, next) => {
      for (const [name, value] of Object.entries(dataHeaders)) context.header(name, value);
      return next();
    });
    app.get("/health", (context) => context.json({ ok: true, door: this.#mark }));
    app.get("/v1/phones/:id", (context) => {
      const [, access = ""] = /^Bearer ([\w-]+)$/.exec(context.req.header("authorization") ?? "") ?? [];
      const phone = this.#find(context.req.param("id"), access);
      return phone === null ? refuse(context, over.code, over.message) : context.json({});
    });
    app.post("/v1/phones/:id/introduction", (context) =>
      this.#claimed(context, PhoneIntroduction, (begun, { claimant, introduction }) => {
        begun.claimant ??= claimant;
        begun.introduction ??= introduction;
        return {};
      }),
    );
    app.post("/v1/phones/:id/grant", (context) => this.#claimed(context, PhoneClaimant, ({ grant }) => ({ grant })));
    servePageFiles(app, readPageFiles(this.#folder));
    return app;
  }

  /** For the first phone that shows the claim of a link. */
  async #claimed<Input extends PhoneClaimant>(
    context: LoopbackContext,
    schema: z.ZodType<Input>,
    act: (begun: Begun, input: Input) => object,
  ): Promise<Response> {
    if (!this.#isFromPage(context.req.header("origin"), context.req.header("sec-fetch-site")) || !isJson(context))
      return refuse(context, "forbidden", "only the page itself may send this");
    const input = schema.safeParse(await readObject(context));
    if (!input.success) return refuse(context, "bad_input", "the request has another form");
    const begun = this.#begun.get(context.req.param("id") ?? "");
    const isLinked = begun !== undefined && isOfHash(input.data.claim, begun.claimHash);
    if (!isLinked || begun.until <= this.#runtime.now()) return refuse(context, over.code, over.message);
    if (begun.claimant !== null && begun.claimant !== input.data.claimant)
      return refuse(context, "phone_claimed", "another phone has opened this link: run `shim pair` again");
    return context.json(act(begun, input.data));
  }

  #isFromPage(origin: string | undefined, fetchSite: string | undefined): boolean {
    const { offered, phones } = readPhones(this.#runtime.paths.home);
    const own = [...offered.map(({ own: url }) => url), ...phones.map((one) => one.own?.url ?? null)];
    return isFromPage(
      { origin, fetchSite },
      own.filter((url) => url !== null),
    );
  }

  #find(id: string, access: string): PairedPhone | null {
    const { paths, now } = this.#runtime;
    const found = readPhones(paths.home).phones.find((one) => one.id === id && one.endsAt > now());
    return found !== undefined && found.own !== null && isOfHash(access, found.own.accessHash) ? found : null;
  }

  #connect(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    const [, id = ""] = /^\/v1\/phones\/([\w-]{44})\/connect$/.exec(request.url ?? "") ?? [];
    const { origin, "sec-fetch-site": site, "sec-websocket-protocol": offered = "" } = request.headers;
    const [protocol, access = ""] = offered.slice(0, 200).split(/, */);
    const isAllowed = protocol === phoneProtocol && this.#isFromPage(origin, site);
    const phone = isAllowed ? this.#find(id, access) : null;
    const isWithin = this.#bounds.get(id)?.take(0, this.#runtime.now(), 0) !== false;
    if (phone === null || !isWithin)
      return void connection.end("HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n", () => connection.destroy());
    // The phone has its grant: nothing of the pairing is needed any more.
    this.#begun.delete(id);
    this.#sockets.handleUpgrade(request, connection, head, (page) => this.#attend(id, page));
  }

  #attend(id: string, page: WebSocket): void {
    const pages = this.#pagesOf(id);
    // The oldest is one that has broken, as long as its user has fewer open.
    if (pages.size >= maxPhonePages) [...pages][0]?.terminate();
    this.#pages.set(id, pages.add(page));
    const bound = this.#bounds.get(id) ?? new FrameBound(phoneFrameLimits);
    this.#bounds.set(id, bound);
    page.on("message", (data, isBinary) => {
      const text = isBinary ? "" : (data as Buffer).toString();
      if (text === pingText) return page.send(pongText);
      if (!bound.take(text.length, this.#runtime.now()))
        return page.close(closeCodes.flood, "too many frames: connect again after a while");
      this.#machines.get(id)?.onText(text);
    });
    page.on("error", () => page.terminate());
    page.on("close", () => {
      this.#pagesOf(id).delete(page);
      this.#announce(id);
    });
    this.#announce(id);
  }

  /** Each end learns whether the other one is there. */
  #announce(id: string): void {
    const machine = this.#machines.get(id);
    const pages = this.#pagesOf(id);
    machine?.onText(textOf({ pages: pages.size }));
    for (const page of pages) page.send(textOf({ isThere: machine !== undefined }));
  }

  #pagesOf(id: string): Set<WebSocket> {
    return this.#pages.get(id) ?? new Set();
  }
}

function textOf(frame: RelayFrame): string {
  return JSON.stringify(frame);
}

/** @param hash in hex, as a coordinator has it */
function isOfHash(secret: string, hash: string): boolean {
  return isSecret(secret, Buffer.from(hash, "hex"));
}
