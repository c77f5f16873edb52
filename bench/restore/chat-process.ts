import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { untilFound } from "../../test/harness/claude/claude-code.ts";
import { openClaude } from "../../test/harness/claude/claude-terminal.ts";
import type { Terminal } from "../../test/harness/clients/terminal.ts";
import { childrenOf } from "#harness/machine/process-tree.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import type { Driver, EndsBy } from "./plan.ts";
import { RestoreRig, kill } from "./restore-rig.ts";
import { type ChatOptions, type ClientChat, StreamChat, type Answers } from "./stream-chat.ts";

type Mark = "stop" | "clear";

/** Claude Code with its full screen. The ends of its turns are seen by a Stop hook of the bench's own. */
class TerminalChat implements ClientChat {
  /** Only the screen knows it. */
  readonly session = null;
  readonly #terminal: Promise<Terminal>;
  readonly #marks: string;

  constructor(options: ChatOptions, plugin: string) {
    this.#marks = join(options.home, `turns-${process.hrtime.bigint()}`);
    const mark = (what: Mark) => [{ type: "command", command: `echo ${what} >> '${this.#marks}'` }];
    const hooks = { Stop: [{ hooks: mark("stop") }], SessionStart: [{ matcher: "clear", hooks: mark("clear") }] };
    // Its own auto mode sets the allowed tools aside and asks.
    const args = ["--permission-mode", "acceptEdits", ...options.args];
    const given = { ...options, args, pluginDir: plugin, settings: { hooks } };
    this.#terminal = openClaude(given, `${this.#marks}.socket`);
  }

  async clientPid(): Promise<number> {
    return (await this.#terminal).pid;
  }

  /** @returns when the turn has ended, and the hooks of its end */
  async turn(prompt: string): Promise<void> {
    const before = this.#count("stop");
    await this.send(prompt);
    await this.#marked("stop", before + 1, prompt);
    await screenAtRest(await this.#terminal);
  }

  /** Sends it as one line: the terminal types lines, and a list would not be shown as it was typed. */
  async send(prompt: string): Promise<void> {
    const terminal = await this.#terminal;
    await terminal.send(prompt.trim().replaceAll(/\s*\n\s*/g, " "));
  }

  async clear(): Promise<void> {
    await this.send("/clear");
    await this.#marked("clear", 1, "/clear");
    await screenAtRest(await this.#terminal);
  }

  /** Closes the window: the client gets a hangup. */
  async closeTerminal(): Promise<void> {
    const terminal = await this.#terminal;
    await terminal.close();
  }

  async finish(): Promise<void> {
    await this.closeTerminal();
    await this.waitForExit();
  }

  async waitForExit(): Promise<void> {
    const { pid } = await this.#terminal;
    await untilFound(() => systemProcesses.facts(pid) === null, "the end of the client");
  }

  async #marked(what: Mark, count: number, prompt: string): Promise<void> {
    const isThere = (): true | null => this.#count(what) >= count || null;
    await untilFound(isThere, `"${what}" of "${prompt}"`).catch(async (error: unknown) => {
      const terminal = await this.#terminal;
      throw new Error(`${String(error)} On the screen: ${await terminal.screen()}`);
    });
  }

  #count(what: Mark): number {
    const marks = existsSync(this.#marks) ? readFileSync(this.#marks, "utf8").split("\n") : [];
    return marks.filter((mark) => mark === what).length;
  }
}

const restMs = 600;

/** A client at work paints; the mark of the bench's own hook says nothing about the other hooks of the event. */
async function screenAtRest(terminal: Terminal): Promise<void> {
  let [last, since] = ["", performance.now()];
  const isAtRest = async (): Promise<boolean> => {
    const now = await terminal.screen();
    if (now !== last) [last, since] = [now, performance.now()];
    return performance.now() - since > restMs;
  };
  await untilFound(isAtRest, "a screen at rest");
}

const plugin = join(import.meta.dirname, "..", "..", "plugin");
const allowed = ["Bash", "Read", "Write", "Edit", "TaskCreate", "TaskUpdate", "mcp__plugin_shim_shim"];

export interface ProcessOptions {
  readonly rig: RestoreRig;
  readonly modelUrl: string;
  readonly driver: Driver;
  readonly env: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** One process of Claude Code with SHIM's plugin, with or without a screen. */
export class ChatProcess {
  readonly #rig: RestoreRig;
  readonly #chat: ClientChat;

  constructor({ rig, modelUrl, driver, env, args = [] }: ProcessOptions) {
    this.#rig = rig;
    const options = {
      home: rig.home,
      cwd: rig.project,
      modelUrl,
      env: { SHIM_HOME: rig.shimHome, CLAUDE_CODE_MAX_RETRIES: "0", ...env },
      args: ["--allowedTools", allowed.join(","), ...args],
    };
    const servers = ["--mcp-config", '{"mcpServers":{}}', "--plugin-dir", plugin];
    this.#chat =
      driver === "terminal"
        ? new TerminalChat(options, plugin)
        : new StreamChat({ ...options, args: [...servers, ...options.args] });
  }

  get session(): string | null {
    return this.#chat.session;
  }

  turn(prompt: string, answers?: Answers): Promise<void> {
    return this.#chat.turn(prompt, answers);
  }

  send(prompt: string): Promise<void> {
    return this.#chat.send(prompt);
  }

  async clear(): Promise<void> {
    if (!(this.#chat instanceof TerminalChat)) throw new Error("/clear needs a terminal");
    await this.#chat.clear();
  }

  finish(): Promise<void> {
    return this.#chat.finish();
  }

  /** Ends the process in the given way, and waits until all that belongs to it is gone but for tools that run on, and the host has saved it. */
  async end(by: EndsBy): Promise<void> {
    const client = await this.#chat.clientPid();
    const below = descendants(client);
    if (by === "closed terminal" && this.#chat instanceof TerminalChat) await this.#chat.closeTerminal();
    else if (by === "SIGTERM") kill(client, "SIGTERM");
    else if (by === "closed terminal") kill(client, "SIGHUP");
    else this.#killTree(client, below, by);
    await this.#chat.waitForExit();
    const isLeft = (): boolean => {
      const living = this.#rig.processes().filter(({ command }) => !command.includes("sleep 600"));
      return living.some(({ pid }) => pid === client || below.includes(pid));
    };
    await untilFound(() => !isLeft() || null, "the end of the processes of a chat");
    const isKept = async (): Promise<boolean> => (await this.#rig.servedClients()).includes(client);
    await untilFound(async () => !(await isKept()), "the last save of a chat");
  }

  #killTree(client: number, below: readonly number[], by: EndsBy): void {
    const processes = this.#rig.processes();
    const named = (part: string): number[] =>
      processes.filter(({ command }) => command.includes(part)).map(({ pid }) => pid);
    const fronts = by === "kill client and MCP process" ? named(" mcp").filter((pid) => below.includes(pid)) : [];
    const all = by === "power lost" ? [...below, ...named("mcp-host.cjs")] : [];
    for (const pid of [...fronts, ...all, client]) kill(pid, "SIGKILL");
  }
}

function descendants(pid: number): number[] {
  const children = childrenOf(pid).map((child) => child.pid);
  return [...children, ...children.flatMap(descendants)];
}
