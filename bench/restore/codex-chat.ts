import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { codexClient, programOf } from "../../scripts/install-clients.ts";
import { codexEnv, codexFlags } from "../../test/harness/clients/codex-rig.ts";

export interface CodexOptions {
  readonly home: string;
  readonly cwd: string;
  readonly modelUrl: string;
  /** A session to continue. */
  readonly resumed: string | null;
}

/** What Codex says of the hooks of all its chats, in ms by event. */
export const hookTimes = new Map<string, number[]>();

const turnTimeoutMs = 90_000;

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly error?: { readonly message: string };
  readonly params?: { readonly run?: { readonly eventName: string; readonly durationMs: number } };
  readonly result?: { readonly thread?: { readonly id: string } };
}

/** Codex as an editor runs it (`codex app-server`): one process, many turns, the hooks of a terminal. */
export class CodexChat {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #exit: Promise<void>;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #opened: Promise<void>;
  #session: string | null = null;
  #turnEnded = Promise.withResolvers<void>();

  constructor({ home, cwd, modelUrl, resumed }: CodexOptions) {
    // Codex offers apply_patch to models that it knows.
    const flags = codexFlags(modelUrl, { modelName: "gpt-5.5" });
    this.#child = spawn(programOf(codexClient), [...flags, "app-server"], { cwd, env: codexEnv(home) });
    this.#child.stdin.on("error", () => undefined);
    this.#child.stderr.resume();
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#read(JSON.parse(line) as Message));
    this.#exit = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
    });
    this.#opened = this.#open(cwd, resumed);
    this.#opened.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get session(): string | null {
    return this.#session;
  }

  /** Sends a prompt. @returns when the turn has ended */
  async turn(prompt: string): Promise<void> {
    this.#turnEnded = Promise.withResolvers();
    await this.send(prompt);
    await this.#within(this.#turnEnded.promise, "a turn");
  }

  async send(prompt: string): Promise<void> {
    await this.#opened;
    await this.#call("turn/start", { threadId: this.#session, input: [{ type: "text", text: prompt }] });
  }

  async finish(): Promise<void> {
    this.#child.stdin.end();
    await this.#exit;
  }

  waitForExit(): Promise<void> {
    return this.#exit;
  }

  async #open(cwd: string, resumed: string | null): Promise<void> {
    const clientInfo = { name: "bench", title: "Bench", version: "1" };
    await this.#call("initialize", { clientInfo, capabilities: { experimentalApi: true } });
    this.#write({ method: "initialized" });
    const { result } =
      resumed === null
        ? await this.#call("thread/start", { cwd })
        : await this.#call("thread/resume", { threadId: resumed });
    this.#session = result?.thread?.id ?? null;
  }

  async #call(method: string, params: object): Promise<Message> {
    const id = this.#waiting.size + 1;
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.#write({ id, method, params });
    const message = await this.#within(answer, method);
    if (message.error) throw new Error(`${method}: ${message.error.message}`);
    return message;
  }

  #within<T>(promise: Promise<T>, what: string): Promise<T> {
    const failed = Promise.withResolvers<never>();
    const timer = setTimeout(() => failed.reject(new Error(`${what} did not end in time`)), turnTimeoutMs);
    void this.#exit.then(() => failed.reject(new Error(`Codex ended before ${what} did`)));
    failed.promise.catch(() => undefined);
    return Promise.race([promise, failed.promise]).finally(() => clearTimeout(timer));
  }

  #read(message: Message): void {
    const { method, params } = message;
    if (method === "hook/completed" && params?.run) {
      const { eventName, durationMs } = params.run;
      hookTimes.set(eventName, [...(hookTimes.get(eventName) ?? []), durationMs]);
    }
    if (method === "turn/completed") this.#turnEnded.resolve();
    else if (message.id !== undefined) this.#waiting.get(message.id)?.(message);
  }

  #write(message: object): void {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }
}
