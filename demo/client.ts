import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { HookEvent } from "../src/contract/hooks.ts";
import { hookCommand, serverCommand, type Command } from "../src/installer/entries.ts";
import type { Launch } from "../src/platform/shim-command.ts";
import { hasGroups } from "../src/platform/run-program.ts";
import { messageOf } from "../src/shared/error.ts";
import { McpConnection, record, type Message } from "#harness/machine/mcp-connection.ts";
import * as story from "./chat-story.ts";

/** Sent to the client as JSON lines, one after the other. */
export interface Order {
  readonly act: "work" | "hang" | "open" | "continue" | "leave";
  readonly launch: Launch;
}

/** Sent by the client as JSON lines: processes when they start, then the end of the act. */
export type Report =
  | { readonly started: number }
  | { readonly result: Message; readonly counts: Counts; readonly saves: readonly number[] }
  | { readonly error: string };

export interface Counts {
  readonly requests: number;
  readonly tools: number;
  readonly failed: number;
}

interface ClientContext {
  readonly input: Readable;
  readonly output: Writable;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly pid: number;
}

/**
 * Plays the client of one chat: it owns the server, and runs hooks and tools as Claude Code 2.1.328 does.
 * They are its own children, so that they notice its death. Ends with its input.
 */
export async function playClient(context: ClientContext): Promise<void> {
  const client = new Client(context);
  const lines = createInterface({ input: context.input, crlfDelay: Infinity });
  let acts = Promise.resolve();
  lines.on("line", (line) => void (acts = acts.then(() => client.play(JSON.parse(line) as Order))));
  await once(lines, "close");
  client.isEnding = true;
  await acts;
  await client.endServer();
}

class Client {
  isEnding = false;
  readonly #context: ClientContext;
  readonly #saves: number[] = [];
  readonly #counts = { requests: 0, tools: 0, failed: 0 };
  #launch: Launch = { node: "", script: "", hookScript: "" };
  #server: McpConnection | null = null;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  async play({ act, launch }: Order): Promise<void> {
    this.#launch = launch;
    const acts: Record<Order["act"], () => Promise<Message>> = {
      work: () => this.#work(),
      hang: () => this.#hang(),
      open: () => this.#hook("SessionStart", { source: "startup" }),
      continue: () => this.#continue(),
      leave: () => this.#leave(),
    };
    try {
      this.#report({ result: await acts[act](), counts: this.#counts, saves: this.#saves });
    } catch (error) {
      this.#report({ error: messageOf(error) });
    }
  }

  async #work(): Promise<Message> {
    const [server] = await Promise.all([this.#serve(), this.#hook("SessionStart", { source: "startup" })]);
    await this.#prompt(story.firstPrompt);
    const filePath = this.#path("price.mjs");
    await this.#use("Read", { file_path: filePath }, { type: "text", file: { filePath } });
    await this.#edit("price.mjs", story.edits.price);
    await this.#save("shim_auto_checkpoint", { doing: "Writing a test" });
    await this.#create("price.test.mjs", story.test);
    await this.#runTest();
    await this.#save("shim_force_checkpoint", story.notes);
    await this.#hook("Stop", { last_assistant_message: story.firstAnswer });
    await this.#prompt(story.lastPrompt);
    await this.#use("TodoWrite", { todos: story.todos }, { oldTodos: [], newTodos: story.todos });
    await this.#edit("README.md", story.edits.readme);
    await this.#create("currency.txt", story.edits.currency);
    await this.#save("shim_auto_checkpoint", { doing: "Asking which currency" });
    const last = await this.#save("shim_auto_checkpoint", { doing: story.doing, next: story.nextStep });
    return { server, checkpoint: last["checkpoint"] };
  }

  /** Begins a tool that outlives this act. */
  async #hang(): Promise<Message> {
    await this.#announce("Bash", { command: story.slowCommand });
    const program = { command: this.#launch.node, args: ["migrate.mjs"] };
    const { pid } = this.#spawn(program, "ignore").on("error", () => undefined);
    if (pid === undefined) throw new Error(`${program.command} could not be started`);
    this.#report({ started: pid });
    return { pid };
  }

  async #continue(): Promise<Message> {
    await this.#serve();
    const offered = await this.#call("shim_check_recovery", {});
    await this.#call("shim_check_recovery", { take: true });
    await this.#save("shim_auto_checkpoint", { doing: story.doing });
    return offered;
  }

  async #leave(): Promise<Message> {
    await this.#call("shim_force_checkpoint", { goal: story.notes.goal, finish: true });
    const stray = await this.endServer();
    await this.#hook("SessionEnd", { reason: "prompt_input_exit" });
    return { stray };
  }

  /** @returns lines of the server's stdout that are no protocol */
  async endServer(): Promise<readonly string[]> {
    const server = this.#server;
    this.#server = null;
    server?.process.kill("SIGINT");
    await server?.ended;
    return server?.stray ?? [];
  }

  async #serve(): Promise<number> {
    const { cwd, env } = this.#context;
    const server = new McpConnection({ ...serverCommand(this.#launch), cwd, env, isGroup: hasGroups });
    this.#server = server;
    this.#report({ started: server.pid });
    await server.initialize("claude-code");
    return server.pid;
  }

  async #prompt(prompt: string): Promise<void> {
    this.#counts.requests += 1;
    await this.#hook("UserPromptSubmit", { prompt });
  }

  async #edit(name: string, content: string): Promise<void> {
    const filePath = this.#path(name);
    await this.#use("Edit", { file_path: filePath }, { filePath }, () => writeFileSync(filePath, content));
  }

  async #create(name: string, content: string): Promise<void> {
    const filePath = this.#path(name);
    const input = { file_path: filePath, content };
    await this.#use("Write", input, { type: "create", filePath }, () => writeFileSync(filePath, content));
  }

  async #use(name: string, input: Message, response: Message, work?: () => void): Promise<void> {
    const call = await this.#announce(name, input);
    work?.();
    await this.#hook("PostToolUse", { ...call, tool_response: response, duration_ms: 5 });
  }

  async #runTest(): Promise<void> {
    const call = await this.#announce("Bash", { command: "node --test" });
    const program = { command: this.#launch.node, args: ["--test", "--test-reporter=tap"] };
    const { code, stdout, stderr } = await this.#run(program, "");
    const output = stdout + stderr;
    if (code === 0) throw new Error(`the project's test must fail at this point: ${output}`);
    this.#counts.failed += 1;
    await this.#hook("PostToolUseFailure", { ...call, error: `Exit code ${code}\n${output}`, duration_ms: 5 });
  }

  async #announce(name: string, input: Message): Promise<Message> {
    this.#counts.tools += 1;
    const id = `toolu_${this.#context.pid}_${this.#counts.tools}`;
    const call = { tool_name: name, tool_input: input, tool_use_id: id };
    await this.#hook("PreToolUse", call);
    return call;
  }

  async #save(tool: string, given: Message): Promise<Message> {
    const startedAt = performance.now();
    const answer = await this.#call(tool, given);
    this.#saves.push(performance.now() - startedAt);
    if (answer["checkpoint"] === undefined) throw new Error(`${tool} saved nothing: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** @returns the structured answer of SHIM's tool @throws {Error} when the tool refuses */
  async #call(tool: string, given: Message): Promise<Message> {
    this.#checkEnding();
    if (!this.#server) throw new Error("no MCP server was started");
    const { isError, text, data } = await this.#server.callTool(tool, given);
    if (isError) throw new Error(`${tool}: ${text}`);
    return data;
  }

  /** @returns the context for the chat that the hook prints, and how long it ran */
  async #hook(event: HookEvent, fields: Message): Promise<Message> {
    this.#checkEnding();
    const { cwd, env, pid } = this.#context;
    const { requests } = this.#counts;
    const prompt = requests === 0 ? {} : { prompt_id: `prompt-${requests}` };
    const session = { session_id: env["CLAUDE_CODE_SESSION_ID"], hook_event_name: event, cwd };
    const input = JSON.stringify({ ...session, ...prompt, ...fields });
    const program = hookCommand(this.#launch, event);
    const { code, stdout, stderr, ms } = await this.#run(program, input, { CLAUDECODE: "1", CLAUDE_PID: String(pid) });
    if (code !== 0) throw new Error(`the ${event} hook ended with ${code}: ${stderr}`);
    const printed = record(stdout === "" ? {} : JSON.parse(stdout));
    return { context: record(printed["hookSpecificOutput"])["additionalContext"] ?? "", ms };
  }

  async #run(program: Command, input: string, env: NodeJS.ProcessEnv = {}): Promise<Run> {
    const startedAt = performance.now();
    const child = this.#spawn(program, "pipe", env);
    const texts = { stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (texts.stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (texts.stderr += text));
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.on("error", reject).on("close", resolve);
    child.stdin?.on("error", () => undefined).end(input);
    return { code: await promise, ...texts, ms: performance.now() - startedAt };
  }

  #spawn({ command, args }: Command, stdio: "pipe" | "ignore", env: NodeJS.ProcessEnv = {}): ReturnType<typeof spawn> {
    return spawn(command, args, { cwd: this.#context.cwd, env: { ...this.#context.env, ...env }, stdio });
  }

  /** Nothing begins when the demo was interrupted: it would outlive the removal of the folder. */
  #checkEnding(): void {
    if (this.isEnding) throw new Error("the demo ends");
  }

  #path(name: string): string {
    return join(this.#context.cwd, name);
  }

  #report(report: Report): void {
    this.#context.output.write(`${JSON.stringify(report)}\n`);
  }
}

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}
