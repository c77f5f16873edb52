import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { setTimeout as pause } from "node:timers/promises";
import { parseObject, textAt } from "../../src/shared/json-fields.ts";
import { childrenOf, untilFound } from "../../test/harness/claude/claude-code.ts";
import { environmentOf, type RealClient } from "../../test/harness/clients/real-clients.ts";
import type { ChatStart, ClientChat } from "./client-chat.ts";
import { screenAtRest } from "./screen-rest.ts";

/** Keys that come closer to a paste are taken for part of it. */
const pastePauseMs = 300;

/** File of the payloads that the end of each turn has sent to a hook of the bench's own. */
export const turnsFile = "turns.jsonl";

/** A command for a hook at the end of a turn. */
export const markTurn = `cat >> "$HOME/${turnsFile}" && echo >> "$HOME/${turnsFile}"`;

export interface Screen {
  /** Program with its arguments; one of a shell's words each. */
  readonly command: readonly string[];
  /** Shown where a prompt can be typed. */
  readonly promptSign: string;
}

/** A client with its full screen, for one that runs its hooks nowhere else. Its settings hold the hook of `markTurn`. */
export class ScreenChat implements ClientChat {
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;
  readonly #promptSign: string;
  readonly #turns: string;
  #output = "";

  constructor(client: RealClient, { command, promptSign }: Screen, { home, cwd, shimHome, modelUrl }: ChatStart) {
    const line = `stty cols 180 rows 50; exec ${command.map((word) => `'${word}'`).join(" ")}`;
    const env = { ...environmentOf(client, { home, shimHome, modelUrl }), TERM: "xterm-256color", SHELL: "/bin/sh" };
    const child = spawn("script", ["-qefc", line, "/dev/null"], { cwd, env, stdio: ["pipe", "pipe", "ignore"] });
    child.stdin.on("error", () => undefined);
    child.stdout.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      child.once("close", () => resolve());
    });
    this.#promptSign = promptSign.replaceAll(/\s/g, "");
    this.#turns = join(home, turnsFile);
  }

  /** Of the last turn that has ended. */
  get session(): string | null {
    return textAt(parseObject(this.#ended().at(-1) ?? ""), "session_id");
  }

  clientPid(): Promise<number> {
    return untilFound(() => childrenOf(this.#child.pid ?? 0)[0]?.pid, "the client below script(1)");
  }

  async turn(prompt: string): Promise<void> {
    const before = this.#ended().length;
    await this.send(prompt);
    await untilFound(() => this.#ended().length > before || null, `the end of the turn "${prompt}"`).catch(
      (error: unknown) => {
        throw new Error(`${String(error)} On the screen: ${this.#screen().slice(-600)}`);
      },
    );
    await screenAtRest(() => this.#screen());
  }

  async send(prompt: string): Promise<void> {
    await untilFound(() => this.#screen().includes(this.#promptSign), "the prompt of the client");
    await screenAtRest(() => this.#screen());
    this.#child.stdin?.write(`\u001B[200~${prompt}\u001B[201~`);
    await screenAtRest(() => this.#screen());
    await pause(pastePauseMs);
    this.#child.stdin?.write("\r");
  }

  async finish(): Promise<void> {
    await this.send("/quit");
    await this.#exit;
  }

  waitForExit(): Promise<void> {
    return this.#exit;
  }

  #screen(): string {
    return stripVTControlCharacters(this.#output).replaceAll(/\s/g, "");
  }

  #ended(): string[] {
    const lines = existsSync(this.#turns) ? readFileSync(this.#turns, "utf8").split("\n") : [];
    return lines.filter((line) => line.startsWith("{"));
  }
}
