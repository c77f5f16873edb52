import type { Readable, Writable } from "node:stream";
import { hookTool } from "../../contract/hook-tool.ts";
import { parseObject } from "../../shared/json-fields.ts";
import type { Log } from "../../platform/log-file.ts";
import { controlPrefix, witnessMethod } from "./control.ts";

export interface Worker {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  kill(signal: NodeJS.Signals): void;
  /** Called once, after its output was read; code null: the signal or error that ended it. */
  onExit(listener: (code: number | null, reason: string) => void): void;
}

export interface FrontOptions {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly startWorker: (isRestart: boolean) => Worker;
  /** Answers the handshake without the worker; null leaves it to the worker. */
  readonly onInitialize: (params: unknown) => object | null;
  /** The client has all that it needs to begin. Never throws. */
  readonly onInitialized: () => void;
  /** Maps the hook tool's arguments to its result. Never rejects. */
  readonly onHook: (given: unknown) => Promise<object>;
  readonly isClientAlive: () => boolean;
  readonly now: () => number;
  readonly schedule: (work: () => void, ms: number) => void;
  readonly log: Log;
  readonly exit: (code: number) => void;
}

interface PendingRequest {
  readonly line: string;
  readonly method: string;
  readonly deaths: number;
}

/** A request that this many workers died with may be the cause. */
const maxDeaths = 2;

/** A worker that lived this long started well. */
const stableMs = 10_000;
const maxPauseMs = 10_000;
const maxEndMs = 15_000;
/** [SI47] Node would report an end of stdin that comes with a signal before the signal. */
const endOfInputMs = 50;

/**
 * Owns the client's connection and restarts the worker. [PR9] The client sees one connection: the
 * handshake and requests without an answer are repeated; only a tool call that may have had an
 * effect is answered with an error.
 */
export class Front {
  readonly #options: FrontOptions;
  readonly #pending = new Map<string, PendingRequest>();
  readonly #control = new Map<string, () => void>();
  /** Handshake requests that are already answered. */
  readonly #ignored = new Set<string>();
  #initialize: PendingRequest | null = null;
  #initialized: string | null = null;
  #worker: Worker | null = null;
  #startedAt = 0;
  #failures = 0;
  #controlCount = 0;
  #isOver = false;

  constructor(options: FrontOptions) {
    this.#options = options;
  }

  start(): void {
    const { stdin, stdout } = this.#options;
    this.#startWorker();
    eachLine(stdin, (line) => this.#onClientLine(line));
    // [SI47] Node reports the end of stdin before a signal that preceded it.
    for (const event of ["end", "close", "error"]) stdin.on(event, () => setImmediate(() => this.end(null)));
    stdout.on("error", () => this.end(null));
  }

  end(signal: NodeJS.Signals | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const worker = this.#worker;
    if (!worker) {
      this.#options.exit(0);
      return;
    }
    if (signal) {
      worker.kill(signal);
      // A signal to the worker alone is not the end of the server.
      this.#options.schedule(() => worker.stdin.end(), endOfInputMs);
    } else worker.stdin.end();
    // A gone client reads nothing, and a worker with unread output would not count as ended.
    worker.stdout.resume();
    this.#options.schedule(() => {
      worker.kill("SIGKILL");
      this.#options.exit(1);
    }, maxEndMs);
  }

  /** Resolves when this worker or a later one has answered. */
  request(method: string, params: object): Promise<void> {
    const id = `${controlPrefix}${(this.#controlCount += 1)}`;
    return new Promise((resolve) => {
      this.#control.set(id, resolve);
      this.#sendToWorker(JSON.stringify({ jsonrpc: "2.0", id, method, params }), { id, method });
    });
  }

  #onClientLine(line: string): void {
    const message = parseMessage(line);
    if (message?.method === "tools/call" && message.params?.name === hookTool && message.id !== undefined) {
      void this.#answerHook(message.id, message.params.arguments);
      return;
    }
    this.#sendToWorker(line, message);
    if (message?.method === "initialize") this.#answerInitialize(message);
  }

  #answerInitialize({ id, params }: Message): void {
    const result = id === undefined ? null : this.#options.onInitialize(params);
    if (result === null) return;
    this.#pending.delete(requestKey(id));
    this.#ignored.add(requestKey(id));
    this.#sendToClient(JSON.stringify({ jsonrpc: "2.0", id, result }));
  }

  async #answerHook(id: string | number, given: unknown): Promise<void> {
    this.#sendToClient(JSON.stringify({ jsonrpc: "2.0", id, result: await this.#options.onHook(given) }));
  }

  #sendToWorker(line: string, message: Message | null): void {
    this.#track(line, message);
    if (this.#worker?.stdin.writable) this.#worker.stdin.write(`${line}\n`);
  }

  #track(line: string, message: Message | null): void {
    const { id, method, params } = message ?? {};
    if (method === "notifications/initialized") {
      this.#initialized = line;
      this.#options.onInitialized();
    }
    if (method === "notifications/cancelled") this.#pending.delete(requestKey(params?.requestId));
    if (id === undefined || method === undefined) return;
    const pending = { line, method, deaths: 0 };
    if (method === "initialize") this.#initialize = pending;
    this.#pending.set(requestKey(id), pending);
  }

  #onWorkerLine(line: string): void {
    const message = parseMessage(line);
    if (message?.method === witnessMethod) {
      this.#options.exit(0);
      return;
    }
    if (message?.id === undefined || message.method !== undefined) {
      this.#sendToClient(line);
      return;
    }
    const key = requestKey(message.id);
    this.#pending.delete(key);
    if (!this.#resolveControl(message.id) && !this.#ignored.delete(key)) this.#sendToClient(line);
  }

  #resolveControl(id: unknown): boolean {
    const done = this.#control.get(String(id));
    this.#control.delete(String(id));
    done?.();
    return done !== undefined;
  }

  /** Backpressure: a slow client must not fill this process's memory. */
  #sendToClient(line: string): void {
    const { stdout } = this.#options;
    const isTaken = stdout.write(`${line}\n`);
    const source = this.#worker?.stdout;
    if (isTaken || this.#isOver || !source || source.isPaused()) return;
    source.pause();
    stdout.once("drain", () => source.resume());
  }

  #startWorker(): void {
    if (this.#isOver) return;
    const worker = this.#options.startWorker(this.#failures > 0);
    this.#worker = worker;
    this.#startedAt = this.#options.now();
    // The exit reports a worker that dies during a write.
    worker.stdin.on("error", () => undefined);
    eachLine(worker.stdout, (line) => this.#onWorkerLine(line));
    worker.onExit((code, reason) => this.#onExit(code, reason));
    this.#resume(worker);
  }

  #resume(worker: Worker): void {
    if (this.#initialize && !this.#isPending(this.#initialize)) {
      this.#ignored.add(requestKey(parseMessage(this.#initialize.line)?.id));
      worker.stdin.write(`${this.#initialize.line}\n`);
    }
    if (this.#initialized) worker.stdin.write(`${this.#initialized}\n`);
    for (const { line } of this.#pending.values()) worker.stdin.write(`${line}\n`);
  }

  #isPending({ line }: PendingRequest): boolean {
    return [...this.#pending.values()].some((pending) => pending.line === line);
  }

  #onExit(code: number | null, reason: string): void {
    const { log, exit, schedule, now, isClientAlive } = this.#options;
    this.#worker = null;
    // The worker may notice first that the client is gone.
    if (this.#isOver || (code === 0 && !isClientAlive())) {
      this.#isOver = true;
      exit(0);
      return;
    }
    this.#failures = now() - this.#startedAt >= stableMs ? 1 : this.#failures + 1;
    log("error", "the worker ended and is being restarted", { code, reason, failures: this.#failures });
    this.#failRequests();
    const pauseMs = this.#failures === 1 ? 0 : Math.min(maxPauseMs, 50 * 2 ** this.#failures);
    if (pauseMs === 0) this.#startWorker();
    else schedule(() => this.#startWorker(), pauseMs);
  }

  /** A tool call may have had an effect; a request with too many deaths may be their cause. */
  #failRequests(): void {
    for (const [key, pending] of this.#pending) {
      const deaths = pending.deaths + 1;
      if (pending.method === "tools/call" || deaths >= maxDeaths) this.#fail(key, pending);
      else this.#pending.set(key, { ...pending, deaths });
    }
  }

  #fail(key: string, { line, method }: PendingRequest): void {
    this.#pending.delete(key);
    const id = parseMessage(line)?.id;
    if (this.#resolveControl(id)) return;
    const result = { isError: true, content: [{ type: "text", text: restartedText }] };
    const answer =
      method === "tools/call" ? { result } : { error: { code: internalError, message: repeatedDeathText } };
    this.#sendToClient(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
  }
}

/** JSON-RPC 2.0, section 5.1. */
const internalError = -32_603;
const repeatedDeathText = "SHIM's process died twice during this request; see its log.";

const restartedText =
  "outcome_unknown: SHIM's process died during this call and was restarted. The call may or may not have taken effect: check, then call again.";

function requestKey(id: unknown): string {
  return JSON.stringify(id) ?? "";
}

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: { readonly name?: unknown; readonly arguments?: unknown; readonly requestId?: unknown };
  readonly [field: string]: unknown;
}

/** A message may contain U+2028 (MCP specification, "Transports", stdio). */
function eachLine(stream: Readable, onLine: (line: string) => void): void {
  let chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      chunks.push(chunk.subarray(from, end));
      const line = Buffer.concat(chunks).toString();
      chunks = [];
      from = end + 1;
      if (line.trim() !== "") onLine(line);
    }
    if (from < chunk.length) chunks.push(chunk.subarray(from));
  });
}

const newline = 0x0a;

function parseMessage(line: string): Message | null {
  return parseObject(line);
}
