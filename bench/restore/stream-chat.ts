import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { cleanEnv } from "../../test/harness/claude/claude-code.ts";

/** What the user answers in a dialog, by question. */
export type Answers = Readonly<Record<string, string>>;

/** One process of a client with a chat, however it is driven. */
export interface ClientChat {
  /** As the client names it; null where only the screen knows it, and before the first event. */
  readonly session: string | null;
  clientPid(): Promise<number>;
  /** Sends a prompt. @returns when the turn has ended */
  turn(prompt: string, answers?: Answers): Promise<void>;
  /** Sends a prompt without waiting for the end of its turn. */
  send(prompt: string, answers?: Answers): Promise<void>;
  /** Ends the chat as its user does. */
  finish(): Promise<void>;
  waitForExit(): Promise<void>;
}

export interface ChatOptions {
  readonly home: string;
  readonly cwd: string;
  readonly modelUrl: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const turnTimeoutMs = 90_000;

/**
 * Claude Code as the Agent SDK runs it: one process, user turns over stdin, dialogs answered over the control protocol.
 * Each prompt, tool and hook is the one that a terminal would have had; only the screen is missing.
 */
export class StreamChat implements ClientChat {
  readonly #process: LineProcess;
  #results = 0;
  #waiting: { readonly count: number; readonly done: () => void }[] = [];
  #session: string | null = null;
  #answers: Answers = {};

  constructor({ home, cwd, modelUrl, args, env }: ChatOptions) {
    const stream = ["--input-format", "stream-json", "--output-format", "stream-json", "--verbose"];
    const command = [claudeBinary(), "-p", ...stream, "--permission-prompt-tool", "stdio", ...args];
    const clean = cleanEnv({ home, modelUrl, env: { CLAUDE_CODE_ENTRYPOINT: "sdk-ts", ...env } });
    this.#process = new LineProcess({ command, cwd, env: clean }, (line) => this.#read(line));
  }

  clientPid(): Promise<number> {
    return Promise.resolve(this.#process.pid);
  }

  /** As the client names it; null before the first event. */
  get session(): string | null {
    return this.#session;
  }

  /** Sends a prompt. @returns when the turn has ended */
  async turn(prompt: string, answers: Answers = {}): Promise<void> {
    const ended = this.#nextResult();
    await this.send(prompt, answers);
    await ended;
  }

  send(prompt: string, answers: Answers = {}): Promise<void> {
    this.#answers = answers;
    this.#process.write({ type: "user", message: { role: "user", content: [{ type: "text", text: prompt }] } });
    return Promise.resolve();
  }

  /** Ends the chat as an application does that closes it. */
  finish(): Promise<void> {
    return this.#process.finish();
  }

  waitForExit(): Promise<void> {
    return this.#process.exit;
  }

  #nextResult(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(new Error(`a turn did not end within ${turnTimeoutMs} ms: ${this.#process.stderr}`)),
      turnTimeoutMs,
    );
    this.#waiting.push({ count: this.#results + 1, done: resolve });
    void this.#process.exit.then(() =>
      reject(new Error(`Claude Code ended in the middle of a turn: ${this.#process.stderr}`)),
    );
    return promise.finally(() => clearTimeout(timer));
  }

  #read(line: string): void {
    const message = JSON.parse(line) as StreamMessage;
    if (message.session_id !== undefined) this.#session = message.session_id;
    if (message.type === "control_request") this.#permit(message);
    if (message.type !== "result") return;
    this.#results++;
    for (const { count, done } of this.#waiting) if (count <= this.#results) done();
    this.#waiting = this.#waiting.filter(({ count }) => count > this.#results);
  }

  /** The user allows each tool, approves each plan and answers each question. */
  #permit({ request_id, request }: StreamMessage): void {
    const input = request?.input ?? {};
    const updatedInput = request?.tool_name === "AskUserQuestion" ? { ...input, answers: this.#answers } : input;
    const response = { subtype: "success", request_id, response: { behavior: "allow", updatedInput } };
    this.#process.write({ type: "control_response", response });
  }
}

interface StreamMessage {
  readonly type: string;
  readonly session_id?: string;
  readonly request_id?: string;
  readonly request?: { readonly tool_name?: string; readonly input?: object };
}

interface LineOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A client that is driven without a screen: JSON in lines over its standard input and output. */
class LineProcess {
  readonly exit: Promise<void>;
  readonly #child: ChildProcessWithoutNullStreams;
  #stderr = "";

  constructor({ command: [program = "", ...args], cwd, env }: LineOptions, onLine: (line: string) => void) {
    this.#child = spawn(program, args, { cwd, env });
    this.#child.stdin.on("error", () => undefined);
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    createInterface({ input: this.#child.stdout }).on("line", onLine);
    this.exit = new Promise((resolve) => {
      this.#child.once("close", () => resolve());
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stderr(): string {
    return this.#stderr;
  }

  write(message: object): void {
    this.#child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  async finish(): Promise<void> {
    this.#child.stdin.end();
    await this.exit;
  }
}
