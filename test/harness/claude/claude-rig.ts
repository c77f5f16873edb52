import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { aModel, ChatRig, type ClientRun, endlessTool, fail, kill, longTool } from "#harness/clients/chat-rig.ts";
import type { Terminal } from "#harness/clients/terminal.ts";
import { cleanEnv, startClaude, transcriptPath, untilFound } from "./claude-code.ts";
import type { Exit, ClaudeOptions } from "./claude-code.ts";
import { openClaude } from "./claude-terminal.ts";
import { EventProcess } from "#harness/machine/programs.ts";
import { type Child, childrenOf } from "#harness/machine/process-tree.ts";
import type { ScriptedModel, Step, Script } from "./scripted-model.ts";
import { spawn } from "node:child_process";
import { hostname } from "node:os";
import { claudeBinary } from "../../../scripts/install-claude.ts";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "#src/coordinator-client/local/local-store.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { given } from "#harness/coordinator/peers.ts";
import { built } from "#harness/machine/mcp-process.ts";

const plugin = join(import.meta.dirname, "..", "..", "..", "plugin");
const usual = ["Bash", "Read", "Write", "Edit", "TaskCreate", "TaskUpdate", "mcp__plugin_shim_shim"];

export interface ChatOptions
  extends
    Pick<Script, "steps" | "summary">,
    Partial<Pick<ClaudeOptions, "args" | "env" | "settings" | "cwd" | "binary" | "mcpServers">> {
  /** Without it the client has what `mcpServers` and its home's settings name. */
  readonly hasPlugin?: boolean;
  /** Tools that it uses without asking; default: those of most tests. */
  readonly allowed?: readonly string[];
}

export class ClaudeRig extends ChatRig {
  #windows = 0;

  /** `claude -p` with the prompt, as an application starts it that shows the chat to a user. */
  async print(prompt: string, options: ChatOptions): Promise<ClientRun> {
    const model = await modelOf(options);
    const { env, ...rest } = this.#options(model, options);
    return {
      model,
      process: startClaude({ ...rest, env: { CLAUDE_CODE_ENTRYPOINT: "an-application", ...env }, prompt }),
    };
  }

  async printed(prompt: string, options: ChatOptions): Promise<ClientRun> {
    const chat = await this.print(prompt, options);
    const exit = await this.over(chat);
    if (exit.code !== 0) fail(`claude ended with ${JSON.stringify(exit)}: ${JSON.stringify(chat.process.output)}`);
    return chat;
  }

  /** Resolves when neither the client nor anything that it has started runs: all that they store is stored. */
  async over({ process, model }: ClientRun): Promise<Exit> {
    const exit = await process.waitForExit();
    const own = `ANTHROPIC_BASE_URL=${model.url}`;
    await untilFound(() => this.processes(own).length === 0, "the end of what the client has started");
    await this.endsStored();
    return exit;
  }

  /** Claude Code with its full screen. Resolves when a prompt can be typed. */
  async terminal(options: ChatOptions): Promise<ClientRun<Terminal>> {
    const model = await modelOf(options);
    this.#windows += 1;
    const process = await openClaude(this.#options(model, options), join(this.root, `terminal-${this.#windows}`));
    onTestFinished(() => process.close());
    return { model, process };
  }

  async typed(prompt: string, options: ChatOptions): Promise<ClientRun<Terminal> & { readonly id: string }> {
    const before = this.sessions().length;
    const chat = await this.terminal(options);
    await chat.process.send(prompt);
    return { ...chat, id: (await untilFound(() => this.sessions()[before], "a session")).id };
  }

  /** `claude -p` that is killed with -9 in the middle of its last tool. */
  async killed(
    prompt: string,
    options: Partial<Omit<ChatOptions, "steps">> & { readonly steps?: readonly Step[] } = {},
  ): Promise<ClientRun & { readonly id: string }> {
    const chat = await this.print(prompt, { ...options, steps: [...(options.steps ?? []), endless] });
    await endlessTool(chat);
    await this.written(longTool);
    await kill(chat);
    return { ...chat, id: this.sessions().at(-1)?.id ?? fail("no session was stored") };
  }

  /** Until the transcript of the newest session has these words: the client writes it every 100 ms, and loses the rest when killed. */
  written(words: string): Promise<string> {
    const path = this.sessions().at(-1)?.transcriptPath ?? fail("no session with a transcript was stored");
    return untilFound(() => existsSync(path) && readFileSync(path, "utf8").includes(words) && path, words);
  }

  async nextBriefs(): Promise<string[]> {
    return briefs((await this.printed("hello", hello)).model);
  }

  envOf({ url }: ScriptedModel): Record<string, string> {
    const env = { SHIM_HOME: this.paths.home, CLAUDE_CODE_MAX_RETRIES: "0" };
    return cleanEnv({ home: this.home, modelUrl: url, env });
  }

  /** What hooks have shown the user in this session, by its transcript. */
  shown(id: string): string[] {
    const text = readFileSync(transcriptPath(this.home, this.project, id), "utf8");
    const lines = text.trim().split("\n");
    const attachments = lines.map((line) => (JSON.parse(line) as TranscriptLine).attachment);
    return attachments.flatMap((one) => (one?.type === "hook_system_message" ? [one.content ?? ""] : []));
  }

  #options(model: ScriptedModel, options: ChatOptions): ClaudeOptions {
    const { steps: _steps, summary: _summary, hasPlugin = true, allowed = usual, env, args, ...rest } = options;
    const place = { home: this.home, cwd: this.project, modelUrl: model.url };
    const own = { SHIM_HOME: this.paths.home, CLAUDE_CODE_MAX_RETRIES: "0", ...env };
    const words = ["--allowedTools", allowed.join(","), ...(args ?? [])];
    return { ...place, ...(hasPlugin ? { pluginDir: plugin } : {}), ...rest, args: words, env: own };
  }
}

type TranscriptLine = Readonly<{ attachment?: { readonly type: string; readonly content?: string } }>;

function modelOf({ steps, summary }: ChatOptions): Promise<ScriptedModel> {
  if (!existsSync(join(plugin, "dist", "hook.cjs"))) fail('The plugin is not built. Run "npm run build" first.');
  return aModel({ steps, ...(summary === undefined ? {} : { summary }) });
}

/** What a chat answers that has nothing to do. */
export const hello = { steps: [{ text: "Hello." }] };

export const endless = bash(`exec ${longTool}`);

export function bash(command: string): Step {
  return call("Bash", { command });
}

export function call(name: string, input: Readonly<Record<string, unknown>>): Step {
  return { tools: [{ name, input }] };
}

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): Step {
  return call(`mcp__plugin_shim_shim__${name}`, input);
}

/** What the model received with its n-th request of the conversation (the first is 0, the last -1), tool descriptions left out. */
export function received(model: ScriptedModel, index = 0): string {
  const request = model.requests.filter(({ kind }) => kind === "loop").at(index);
  return request?.messages.map(({ text }) => text).join("\n") ?? fail(`there is no request ${index}`);
}

/** The briefs in a request, without what stands around them. */
export function briefs(model: ScriptedModel): string[] {
  const brief = /SHIM: [^\n]*recovered data, not instructions\.\n<(shim-recovered-session-\w+)>[\s\S]*?<\/\1>[^\n]*/g;
  return received(model).match(brief) ?? [];
}

/** A machine whose workers do tasks of the type `fix` with the real Claude Code, which talks to a model that plays the steps. */
export class WorkerMachine {
  readonly rig = new ClaudeRig();
  readonly model: ScriptedModel;
  readonly #coordinator: LocalCoordinator;

  private constructor(model: ScriptedModel, settings: object) {
    this.model = model;
    const { project, paths } = this.rig;
    const fix = { claude: { program: claudeBinary(), ...settings }, repository: project };
    writeFileSync(join(this.rig.root, "worker.json"), JSON.stringify({ drainMs: 0, types: { fix } }));
    const store = createLocalStore({ home: paths.home, driver: openNodeSqlite, now: Date.now, busyMs: 2_000 });
    onTestFinished(() => store.close());
    this.#coordinator = new LocalCoordinator({ store, processes: systemProcesses, machine: hostname(), now: Date.now });
  }

  static async with(steps: readonly Step[], settings: object): Promise<WorkerMachine> {
    return new WorkerMachine(await aModel({ steps }), settings);
  }

  /** `shim worker`, ended with the test if it is still there. */
  worker(...flags: string[]): WorkerProcess {
    const { rig, model } = this;
    const env = rig.envOf(model);
    const args = [built.launcher, "worker", "--config", join(rig.root, "worker.json"), "--json", ...flags];
    const child = spawn(process.execPath, args, { cwd: rig.project, env, stdio: ["ignore", "pipe", "pipe"] });
    return new WorkerProcess(child);
  }

  /** Asks the coordinator of this machine, in this process, which also does what is due. */
  ask<Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> {
    return given(this.#coordinator.call(name, input));
  }

  submit(text: string): number {
    const { tasks } = this.ask("tasks.submit", { tasks: [{ type: "fix", payload: { text } }] });
    return tasks[0]?.task ?? 0;
  }

  asked(): string[] {
    const loops = this.model.requests.filter(({ kind }) => kind === "loop");
    return loops.map(({ messages }) => messages.map(({ role, text }) => `${role}: ${text}`).join("\n"));
  }
}

/** A worker or a supervisor that keeps Claude Code. */
export class WorkerProcess extends EventProcess {
  claude(): Promise<Child> {
    const below = (): Child[] => childrenOf(this.pid).flatMap((keeper) => childrenOf(keeper.pid));
    const found = () => below().find(({ command }) => command.includes("--output-format"));
    return untilFound(found, "Claude Code below the worker");
  }
}
