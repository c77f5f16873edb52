import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { parseJson } from "#src/shared/json-fields.ts";

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly isGroup?: boolean;
}

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export type Message = Record<string, unknown>;

export interface ToolAnswer {
  readonly isError: boolean;
  readonly text: string;
  readonly data: Message;
}

interface Waiting {
  readonly resolve: (answer: Message) => void;
  readonly reject: (error: Error) => void;
}

const maxErrorChars = 10_000;

/** A minimal client of MCP 2025-11-25 (stdio); the SDK is larger than what uses it. */
export class McpConnection {
  readonly process: ChildProcessWithoutNullStreams;
  /** Settles when the process has exited and all its output was read. */
  readonly ended: Promise<ProcessEnd>;
  /** Stdout lines that are no JSON-RPC message; must stay empty. */
  readonly stray: string[] = [];
  errors = "";
  #nextId = 1;
  readonly #waiting = new Map<unknown, Waiting>();
  #over: Error | null = null;

  constructor({ command, args, env, cwd, isGroup = false }: Program) {
    this.process = spawn(command, args, { env, cwd, stdio: "pipe", detached: isGroup });
    const { stdin, stdout, stderr } = this.process;
    stdin.on("error", () => undefined);
    stderr.setEncoding("utf8").on("data", (text: string) => (this.errors = (this.errors + text).slice(-maxErrorChars)));
    createInterface({ input: stdout, crlfDelay: Infinity }).on("line", (line) => this.#onLine(line));
    this.process.on("error", (error) => (this.errors += error.message));
    const { promise, resolve } = Promise.withResolvers<ProcessEnd>();
    this.ended = promise;
    this.process.on("close", (code, signal) => {
      this.#fail({ code, signal });
      resolve({ code, signal });
    });
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  async initialize(clientName: string): Promise<Message> {
    const answer = await this.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: clientName, version: "1" },
    });
    this.send({ jsonrpc: "2.0", method: "notifications/initialized" });
    return answer;
  }

  /** @throws {Error} when the server answers with an error, or ends before it has answered */
  async request(method: string, params: Message = {}): Promise<Message> {
    if (this.#over) throw this.#over;
    const id = this.#nextId++;
    this.send({ jsonrpc: "2.0", id, method, params });
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    this.#waiting.set(id, { resolve, reject });
    const answer = await promise;
    if (answer["error"] !== undefined) throw new Error(`${method}: ${JSON.stringify(answer["error"])}`);
    return record(answer["result"]);
  }

  async callTool(name: string, given: Message): Promise<ToolAnswer> {
    const result = await this.request("tools/call", { name, arguments: given });
    const content = Array.isArray(result["content"]) ? result["content"].map(record) : [];
    return {
      isError: result["isError"] === true,
      text: content.map((part) => String(part["text"])).join("\n"),
      data: record(result["structuredContent"]),
    };
  }

  send(message: Message): void {
    this.write(`${JSON.stringify(message)}\n`);
  }

  write(bytes: string | Uint8Array): void {
    this.process.stdin.write(bytes);
  }

  #onLine(line: string): void {
    const message = record(parseJson(line));
    if (message["jsonrpc"] !== "2.0") {
      this.stray.push(line);
      return;
    }
    const waiting = this.#waiting.get(message["id"]);
    if (!waiting || message["method"] !== undefined) return;
    this.#waiting.delete(message["id"]);
    waiting.resolve(message);
  }

  #fail({ code, signal }: ProcessEnd): void {
    this.#over = new Error(`the MCP process has ended (${signal ?? `exit code ${code}`}). ${this.errors}`.trim());
    for (const { reject } of this.#waiting.values()) reject(this.#over);
    this.#waiting.clear();
  }
}

export function record(value: unknown): Message {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
