import { join } from "node:path";
import { childrenOf, untilFound } from "../../test/harness/claude/claude-code.ts";
import { RestoreRig, kill } from "./restore-rig.ts";
import type { Driver, EndsBy } from "./plan.ts";
import { StreamChat, type Answers, type ClientChat } from "./stream-chat.ts";
import { TerminalChat } from "./terminal-chat.ts";

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
    if (by === "closed terminal" && this.#chat instanceof TerminalChat) this.#chat.closeTerminal();
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
