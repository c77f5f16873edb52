import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { HookEvent } from "../../../../contract/hook-input.ts";
import { hasGroups } from "../../../../platform/process-group.ts";
import { record, type Message } from "./mcp-connection.ts";
import type { Order, ProgramStart } from "./stand-in.ts";

export interface Programs {
  readonly standIn: ProgramStart;
  readonly server: ProgramStart;
  readonly hook: (event: HookEvent) => ProgramStart;
}

export interface ChatOptions {
  readonly session: string;
  readonly project: string;
  readonly env: NodeJS.ProcessEnv;
  readonly programs: Programs;
  readonly onProcess: (pid: number) => void;
  readonly signal: AbortSignal;
}

export interface HookRun {
  readonly context: string;
  readonly ms: number;
}

export interface ToolRun {
  readonly failed: boolean;
  readonly output: string;
}

export class Chat {
  readonly #options: ChatOptions;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #waiting = new Map<number, { resolve: (result: Message) => void; reject: (error: Error) => void }>();
  #orders = 0;
  #prompts = 0;
  #tools = 0;
  #failed = 0;
  #server = -1;

  constructor(options: ChatOptions) {
    this.#options = options;
    const { command, args } = options.programs.standIn;
    this.#process = spawn(command, args, {
      cwd: options.project,
      env: { ...options.env, CLAUDE_CODE_SESSION_ID: options.session, CLAUDE_PROJECT_DIR: options.project },
      stdio: ["pipe", "pipe", "ignore"],
    });
    const { stdin, stdout } = this.#process;
    if (!stdin || !stdout) throw new Error("the stand-in client has no pipes");
    stdin.on("error", () => undefined);
    createInterface({ input: stdout, crlfDelay: Infinity }).on("line", (line) => this.#onLine(line));
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#process
      .on("error", () => undefined)
      .on("close", () => {
        for (const { reject } of this.#waiting.values()) reject(new Error("the stand-in client is gone"));
        resolve();
      });
    this.#ended = promise;
    options.onProcess(this.pid);
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  get serverPid(): number {
    return this.#server;
  }

  get counts(): { readonly requests: number; readonly tools: number; readonly failed: number } {
    return { requests: this.#prompts, tools: this.#tools, failed: this.#failed };
  }

  async start(): Promise<HookRun> {
    return this.hook("SessionStart", { source: "startup" });
  }

  async serve(): Promise<string> {
    const { pid, instructions } = await this.#order({ do: "serve", program: this.#options.programs.server });
    this.#server = Number(pid);
    this.#options.onProcess(this.#server);
    return String(instructions);
  }

  async hook(event: HookEvent, fields: Message): Promise<HookRun> {
    const prompt = this.#prompts === 0 ? {} : { prompt_id: `prompt-${this.#prompts}` };
    const input = { session_id: this.#options.session, hook_event_name: event, ...prompt, ...fields };
    const run = await this.#order({ do: "hook", program: this.#options.programs.hook(event), input });
    if (run["code"] !== 0)
      throw new Error(`the ${event} hook ended with ${String(run["code"])}: ${String(run["stderr"])}`);
    const printed = String(run["stdout"]);
    const specific = record(record(printed === "" ? {} : JSON.parse(printed))["hookSpecificOutput"]);
    const context = specific["additionalContext"];
    return { context: typeof context === "string" ? context : "", ms: Number(run["ms"]) };
  }

  async prompt(prompt: string): Promise<void> {
    this.#prompts += 1;
    await this.hook("UserPromptSubmit", { prompt });
  }

  async use(name: string, input: Message, work: () => Promise<Message> | Message): Promise<void> {
    const call = await this.#announce(name, input);
    await this.hook("PostToolUse", { ...call, tool_response: await work(), duration_ms: 5 });
  }

  async bash(command: string, program: ProgramStart): Promise<ToolRun> {
    const call = await this.#announce("Bash", { command });
    const { code, stdout, stderr } = await this.#order({ do: "run", program });
    const output = `${String(stdout)}${String(stderr)}`;
    if (code === 0) {
      await this.hook("PostToolUse", { ...call, tool_response: { stdout: output, stderr: "" }, duration_ms: 5 });
      return { failed: false, output };
    }
    this.#failed += 1;
    await this.hook("PostToolUseFailure", { ...call, error: `Exit code ${String(code)}\n${output}`, duration_ms: 5 });
    return { failed: true, output };
  }

  async beginBash(command: string, program: ProgramStart): Promise<number> {
    await this.#announce("Bash", { command });
    const { pid } = await this.#order({ do: "begin", program });
    this.#options.onProcess(Number(pid));
    return Number(pid);
  }

  /** @returns the structured answer of SHIM's tool @throws {Error} when the tool refuses */
  async call(tool: string, given: Message): Promise<Message> {
    const answer = await this.#order({ do: "call", tool, given });
    if (answer["isError"] === true) throw new Error(`${tool}: ${String(answer["text"])}`);
    return record(answer["data"]);
  }

  /** Kills client and both server processes: a surviving worker would save the files once more. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    process.kill(hasGroups ? -this.#server : this.#server, "SIGKILL");
    await this.#ended;
  }

  /** Ends like Claude Code. @returns stray lines of the server's stdout */
  async leave(): Promise<unknown[]> {
    const { stray } = await this.#order({ do: "leave" });
    await this.hook("SessionEnd", { reason: "prompt_input_exit" });
    await this.close();
    return Array.isArray(stray) ? stray : [];
  }

  async close(): Promise<void> {
    this.#process.stdin?.end();
    await this.#ended;
  }

  async #announce(name: string, input: Message): Promise<Message> {
    this.#tools += 1;
    const call = {
      tool_name: name,
      tool_input: input,
      tool_use_id: `toolu_${this.#options.session.slice(0, 8)}_${this.#tools}`,
    };
    await this.hook("PreToolUse", call);
    return call;
  }

  async #order(order: Order): Promise<Message> {
    this.#options.signal.throwIfAborted();
    const id = (this.#orders += 1);
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    this.#waiting.set(id, { resolve, reject });
    this.#process.stdin?.write(`${JSON.stringify({ id, ...order })}\n`);
    if (this.#process.exitCode !== null || this.#process.signalCode !== null)
      reject(new Error("the stand-in client is gone"));
    return promise;
  }

  #onLine(line: string): void {
    const { id, result, error } = JSON.parse(line) as { id: number; result?: Message; error?: string };
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (result) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  }
}
