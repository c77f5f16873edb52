import { hostMs, lateHostMs } from "../../contract/hook-limits.ts";
import type { Readable, Writable } from "node:stream";
import { hookTool } from "../../contract/hook-tool.ts";
import type { Log } from "../../platform/log-file.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import { isNewer, type ProgramVersion } from "../../platform/version.ts";
import { isRecord } from "../../shared/json-fields.ts";
import { HostWatch, type HostWatchOptions } from "../host-client/host-watch.ts";
import { parseMessage, requestKey, type Message, controlMethods, controlPrefix, type HostHello } from "./hello.ts";
import {
  framingError,
  invalidRequest,
  isFramed,
  readClientLine,
  type ReceivedMessage,
  eachLine,
  tooLongText,
  type LineEvents,
} from "./lines.ts";

interface WaitingRequest {
  readonly line: string;
  readonly method: string;
  readonly isHook: boolean;
  /** Size that counts; a hook that waits for a person holds back no other message. */
  readonly bytes: number;
  readonly deaths: number;
}

interface WaitingRequestsOptions {
  /** Keeps the event of a hook for the next host, and answers it. Never rejects. */
  readonly keepEvent: (given: unknown) => Promise<object>;
  readonly schedule: (work: () => void, ms: number) => void;
  readonly hasHost: () => boolean;
  readonly send: (line: string) => void;
}

/** A request that this many hosts died with may be the cause. */
const maxDeaths = 2;

/** The client's requests without an answer, and what becomes of them where no host answers. */
class WaitingRequests {
  readonly #options: WaitingRequestsOptions;
  readonly #requests = new Map<string, WaitingRequest>();
  #bytes = 0;

  constructor(options: WaitingRequestsOptions) {
    this.#options = options;
  }

  /** Size of all lines, with the cost of a request beside its line. */
  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#requests.size;
  }

  has(key: string): boolean {
    return this.#requests.has(key);
  }

  lines(): string[] {
    return [...this.#requests.values()].map(({ line }) => line);
  }

  add(line: string, id: string | number, method: string, params: Message["params"]): void {
    const key = requestKey(id);
    const isHook = method === "tools/call" && params?.name === hookTool;
    this.delete(key);
    const bytes = isHook && isPermission(params?.arguments) ? 0 : line.length + entryBytes;
    this.#requests.set(key, { line, method, isHook, bytes, deaths: 0 });
    this.#bytes += bytes;
    if (isHook && !this.#options.hasHost()) this.#keepLater(key);
  }

  delete(key: string): void {
    const request = this.#requests.get(key);
    if (request === undefined) return;
    this.#requests.delete(key);
    this.#bytes -= request.bytes;
  }

  /**
   * The host is gone: a tool call may have had an effect, and a request with too many deaths may
   * be their cause.
   *
   * @param repeatable tools whose calls the next host gets again
   */
  onDeath(repeatable: ReadonlySet<unknown>): void {
    for (const [key, request] of this.#requests) {
      const deaths = request.deaths + 1;
      if (request.isHook && deaths >= maxDeaths) this.#keep(key, request);
      else if (!request.isHook && (deaths >= maxDeaths || !isRepeatable(request, repeatable))) this.#fail(key, request);
      else this.#requests.set(key, { ...request, deaths });
    }
  }

  /** The client learns why nothing is answered; events of hooks are kept for the next host. */
  onUnreachable(reason: string): void {
    for (const [key, request] of this.#requests) if (!request.isHook) this.#fail(key, request, unreachableText(reason));
  }

  keepHooksLater(): void {
    for (const [key, { isHook }] of this.#requests) if (isHook) this.#keepLater(key);
  }

  /** The client does not wait for long where no host can be reached. */
  #keepLater(key: string): void {
    const { schedule, hasHost } = this.#options;
    schedule(
      () => {
        const request = this.#requests.get(key);
        if (request && !hasHost()) this.#keep(key, request);
      },
      hostMs("") - lateHostMs,
    );
  }

  #keep(key: string, { line }: WaitingRequest): void {
    this.delete(key);
    const { id, params } = parseMessage(line) ?? {};
    const given = params?.arguments;
    const answer = (kept: object): void => this.#answer(id, { result: isPermission(given) ? undecidedResult : kept });
    void this.#options.keepEvent(given).then(answer);
  }

  #fail(key: string, { line, method }: WaitingRequest, reason?: string): void {
    this.delete(key);
    const result = { isError: true, content: [{ type: "text", text: reason ?? restartedText }] };
    const error = { code: internalError, message: reason ?? repeatedDeathText };
    this.#answer(parseMessage(line)?.id, method === "tools/call" ? { result } : { error });
  }

  #answer(id: Message["id"], answer: object): void {
    this.#options.send(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
  }
}

function isRepeatable({ line, method }: WaitingRequest, repeatable: ReadonlySet<unknown>): boolean {
  return method !== "tools/call" || repeatable.has(parseMessage(line)?.params?.name);
}

/** The client asks its user, beside the hook. */
function isPermission(given: unknown): boolean {
  return isRecord(given) && given["event"] === "PermissionRequest";
}

/** Not silence, which may count as a refusal. */
const undecidedResult = { content: [{ type: "text", text: "{}" }] };

/** An entry of the table and its strings. */
const entryBytes = 500;

/** JSON-RPC 2.0, section 5.1. */
const internalError = -32_603;
const repeatedDeathText = "SHIM's host died twice during this request; see its log.";
const restartedText =
  "outcome_unknown: SHIM's host died during this call and was restarted. The call may or may not have taken effect: check, then call again.";

function unreachableText(reason: string): string {
  return `SHIM's host cannot be started (${reason}). Run \`shim doctor\`.`;
}

/** Events of a connection to the host. */
export interface HostEvents {
  readonly onHello: (hello: HostHello) => void;
  readonly onLine: (line: string) => void;
  readonly onLongLine: LineEvents["onLongLine"];
  /** The host has taken what was sent to it. */
  readonly onDrain: () => void;
  /** Called once. */
  readonly onClose: (reason: string) => void;
}

export interface HostLink {
  send(line: string): void;
  /** Size of the lines that the host has not taken yet. */
  unsentBytes(): number;
  pause(): void;
  resume(): void;
}

export interface FrontOptions extends Pick<WaitingRequestsOptions, "keepEvent">, Pick<HostWatchOptions, "schedule"> {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly program: ProgramVersion;
  /** Connects to the host of the machine, and starts a host where there is none. */
  readonly connect: (isRestart: boolean, events: HostEvents) => HostLink;
  readonly endHost: (host: ProcessIdentity) => void;
  /** Keeps other fronts from starting a host before this one does. */
  readonly reserveStart: () => void;
  readonly isClientAlive: () => boolean;
  readonly now: () => number;
  readonly log: Log;
  readonly exit: (code: number) => void;
}

/** While more than this is not taken by the client or by the host, the client's input waits. */
const maxUntakenBytes = 1024 * 1024;
/** The same while requests of this size have no answer. */
const maxWaitingBytes = 4 * 1024 * 1024;
/** A host that was connected this long started well. */
const stableMs = 10_000;
const maxPauseMs = 10_000;
/** So many starts fail before requests are answered with an error. */
const maxStarts = 3;
/** Node would report an end of stdin that comes with a signal before the signal. */
const endOfInputMs = 50;
/** A killed client sends no signal later. */
const endOfInputCheckMs = 5;
const maxEndMs = 15_000;

/**
 * Passes messages between the client and the machine's host. The client sees one connection:
 * the handshake and requests without an answer are repeated at the next host; only a call of a tool
 * that must not be repeated is answered with an error.
 */
export class Front {
  readonly #options: FrontOptions;
  readonly #watch: HostWatch;
  readonly #waiting: WaitingRequests;
  /** Handshake requests that are already answered. */
  readonly #ignored = new Set<string>();
  #initialize: string | null = null;
  #initialized: string | null = null;
  #link: HostLink | null = null;
  /** The host that has greeted; null: none can be reached. */
  #host: ProcessIdentity | null = null;
  #repeatable: ReadonlySet<unknown> = new Set();
  #hasGreeted = false;
  #greetedAt = 0;
  /** Hosts in a row that soon ended, or were not reached: each is followed by a longer pause. */
  #failures = 0;
  /** Hosts in a row that were not reached. */
  #failedStarts = 0;
  #controls = 0;
  /** An older host ends because this front has asked it to. */
  #isHandedOver = false;
  #isOver = false;
  #isFramingReported = false;
  #hasRefused = false;

  constructor(options: FrontOptions) {
    this.#options = options;
    const { keepEvent, schedule } = options;
    const hasHost = (): boolean => this.#host !== null;
    this.#waiting = new WaitingRequests({ keepEvent, schedule, hasHost, send: (line) => this.#sendToClient(line) });
    this.#watch = new HostWatch({
      ...options,
      // An answer is not read while the client does not take the last one.
      isWaiting: (host) => host === this.#host && this.#waiting.size > 0 && !this.#options.stdout.writableNeedDrain,
      ping: () => this.#control(controlMethods.ping, {}),
    });
  }

  start(): void {
    const { stdin, stdout } = this.#options;
    this.#connect();
    eachLine(stdin, {
      onLine: (line) => this.#onClientLine(line),
      onLongLine: ({ id, isRequest }) =>
        this.#refuse(isRequest ? id : null, { code: invalidRequest, message: `this line is refused: ${tooLongText}` }),
    });
    stdout.on("drain", () => {
      this.#link?.resume();
      this.#watch.noteAnswer();
      this.#watch.ping();
      this.#holdBack();
    });
    for (const event of ["end", "close", "error"]) stdin.on(event, () => this.end(null));
    stdout.on("error", () => this.end(null));
  }

  /** @param signal null: the client has closed the connection */
  end(signal: NodeJS.Signals | null): void {
    if (this.#isOver) return;
    if (signal === null) this.#finishInput(endOfInputMs);
    else this.#finish(signal.toLowerCase());
  }

  #finishInput(leftMs: number): void {
    this.#options.schedule(() => {
      if (leftMs <= endOfInputCheckMs || !this.#options.isClientAlive()) this.#finish("stdin_end");
      else this.#finishInput(leftMs - endOfInputCheckMs);
    }, endOfInputCheckMs);
  }

  #finish(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { exit, schedule } = this.#options;
    if (this.#host === null) return exit(0);
    // The client lives while the host detaches its sessions, which no killed one does.
    this.#control(controlMethods.end, { reason });
    this.#link?.resume();
    schedule(() => exit(1), maxEndMs);
  }

  #connect(): void {
    if (this.#isOver) return;
    this.#link = this.#options.connect(this.#hasGreeted, {
      onHello: (hello) => this.#onHello(hello),
      onLine: (line) => this.#onHostLine(line),
      onLongLine: ({ id }) => this.#onLongAnswer(id),
      onDrain: () => this.#holdBack(),
      onClose: (reason) => this.#onClose(reason),
    });
  }

  #onHello({ program, host, repeatable }: HostHello): void {
    if (isNewer(this.#options.program, program)) {
      this.#isHandedOver = true;
      this.#options.reserveStart();
      return this.#control(controlMethods.handOver, {});
    }
    this.#host = host;
    this.#repeatable = new Set(repeatable);
    this.#hasGreeted = true;
    this.#greetedAt = this.#options.now();
    this.#failedStarts = 0;
    this.#watch.begin(host);
    this.#repeat();
  }

  /** Sends the handshake again where the client has its answer, and what was not answered. */
  #repeat(): void {
    const key = requestKey(parseMessage(this.#initialize ?? "")?.id);
    if (this.#initialize && !this.#waiting.has(key)) {
      this.#ignored.add(key);
      this.#link?.send(this.#initialize);
    }
    if (this.#initialized) this.#link?.send(this.#initialized);
    for (const line of this.#waiting.lines()) this.#link?.send(line);
    this.#watch.ping();
  }

  #onClientLine(line: string): void {
    if (isFramed(line)) {
      if (!this.#isFramingReported) this.#refuse(null, framingError);
      this.#isFramingReported = true;
      return;
    }
    const read = readClientLine(line);
    if ("error" in read) this.#refuse(null, read.error);
    else for (const each of read.messages) this.#onClientMessage(each);
    this.#holdBack();
  }

  #onClientMessage({ text, message: { id, method, params } }: ReceivedMessage): void {
    if (method === "notifications/initialized") this.#initialized = text;
    if (method === "notifications/cancelled") this.#waiting.delete(requestKey(params?.requestId));
    if (method === "initialize") this.#initialize = text;
    // The host refuses a request with any other id, and answers it without one.
    const hasId = typeof id === "string" || typeof id === "number";
    if (hasId && method !== undefined) this.#waiting.add(text, id, method, params);
    if (this.#host === null) return;
    this.#link?.send(text);
    this.#watch.ping();
  }

  #refuse(id: string | number | null, error: { readonly code: number; readonly message: string }): void {
    // Once: most clients show nothing of an error without an id, and some send thousands.
    if (!this.#hasRefused) this.#options.log("warn", "a line of the client was refused", { reason: error.message });
    this.#hasRefused = true;
    this.#sendToClient(JSON.stringify({ jsonrpc: "2.0", id, error }));
    this.#holdBack();
  }

  /** The client's input waits while what it has sent is not taken, or what it is sent. */
  #holdBack(): void {
    const { stdin, stdout } = this.#options;
    const untaken = Math.max(stdout.writableLength, this.#link?.unsentBytes() ?? 0);
    const isHeld = untaken > maxUntakenBytes || this.#waiting.bytes > maxWaitingBytes;
    if (isHeld) stdin.pause();
    else if (stdin.isPaused()) stdin.resume();
  }

  #onHostLine(line: string): void {
    this.#receive(line);
    this.#watch.noteAnswer();
  }

  #receive(line: string): void {
    const message = parseMessage(line);
    if (message === null) return this.#options.log("error", "the host sent a line that is no message", {});
    if (message.method === controlMethods.longWork) return this.#watch.noteLongWork(message.params?.isOver === true);
    if (message.id === undefined || message.method !== undefined) return this.#sendToClient(line);
    const key = requestKey(message.id);
    this.#waiting.delete(key);
    const isOwn = String(message.id).startsWith(controlPrefix);
    if (!isOwn && !this.#ignored.delete(key)) this.#sendToClient(line);
    this.#holdBack();
  }

  #onLongAnswer(id: string | number | null): void {
    this.#options.log("error", "an answer of the host is too long", { id });
    const error = { code: internalError, message: `the answer is left out: ${tooLongText}` };
    if (id !== null) this.#onHostLine(JSON.stringify({ jsonrpc: "2.0", id, error }));
  }

  /** A slow client must not fill this process's memory: the host's output waits. */
  #sendToClient(line: string): void {
    const { stdout } = this.#options;
    // The end of the host's connection is behind what it has written.
    if (this.#isOver && stdout.writableNeedDrain) return;
    const isTaken = stdout.write(`${line}\n`);
    if (!isTaken && !this.#isOver) this.#link?.pause();
  }

  #onClose(reason: string): void {
    const { log, exit, schedule, now, isClientAlive } = this.#options;
    const wasConnected = this.#host !== null;
    this.#link = null;
    this.#host = null;
    // The host may notice first that the client is gone.
    if (this.#isOver || !isClientAlive()) {
      this.#isOver = true;
      exit(0);
      return;
    }
    if (this.#isHandedOver) {
      this.#isHandedOver = false;
      return this.#connect();
    }
    this.#failures = wasConnected && now() - this.#greetedAt >= stableMs ? 1 : this.#failures + 1;
    if (!wasConnected) this.#failedStarts += 1;
    log(wasConnected ? "warn" : "error", "the connection to the host ended", { reason, failures: this.#failures });
    if (wasConnected) this.#waiting.onDeath(this.#repeatable);
    else if (this.#failedStarts >= maxStarts) this.#waiting.onUnreachable(reason);
    this.#waiting.keepHooksLater();
    this.#holdBack();
    const pauseMs = this.#failures === 1 ? 0 : Math.min(maxPauseMs, 50 * 2 ** this.#failures);
    if (pauseMs === 0) this.#connect();
    else schedule(() => this.#connect(), pauseMs);
  }

  #control(method: string, params: object): void {
    const id = `${controlPrefix}${(this.#controls += 1)}`;
    this.#link?.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
  }
}
