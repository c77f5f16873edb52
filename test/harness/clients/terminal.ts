import { execFile } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { untilFound } from "#harness/claude/claude-code.ts";

const run = promisify(execFile);

export interface TerminalOptions {
  /** Path for the socket of the terminal's own server. */
  readonly socket: string;
  readonly cwd: string;
  /** All that the program gets of an environment, but for the terminal's type and a language with UTF-8. */
  readonly env: Readonly<Record<string, string>>;
  /** Path of the program, and its arguments. */
  readonly words: readonly string[];
}

interface Size {
  /** Signs in a line. */
  readonly columns: number;
  /** Lines. */
  readonly rows: number;
}

/** Claude Code shows what a chat changed beside it where there is room. */
const size: Size = { columns: 110, rows: 50 };

/** Keys that come closer together are a paste, in which the return key is a new line. Below 100 ms it was seen to fail. */
const PASTE_PAUSE_MS = 300;

type Tmux = (...words: readonly string[]) => Promise<string>;

/** A terminal with a screen and a keyboard, made by tmux, in which one program runs; when the program ends, it is closed. */
export class Terminal {
  readonly #tmux: Tmux;
  /** Of the program. */
  readonly pid: number;
  #lastScreen = "";

  private constructor(tmux: Tmux, pid: number) {
    this.#tmux = tmux;
    this.pid = pid;
  }

  static async open({ socket, cwd, env, words }: TerminalOptions): Promise<Terminal> {
    const own = { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8" };
    const tmux: Tmux = async (...args) => {
      const { stdout } = await run("tmux", ["-u", "-f", "/dev/null", "-S", socket, ...args], { env: own });
      return stdout;
    };
    const given = Object.entries({ ...env, TERM: "screen-256color", LANG: "C.UTF-8" });
    const program = ["/usr/bin/env", "-i", ...given.map(([name, value]) => `${name}=${value}`), ...words];
    const area = ["-x", String(size.columns), "-y", String(size.rows)];
    const pid = await tmux("new-session", "-d", "-P", "-F", "#{pane_pid}", "-c", cwd, ...area, ...program);
    return new Terminal(tmux, Number(pid));
  }

  /** What the screen shows now; once the terminal is closed, what it showed last. */
  async screen(): Promise<string> {
    this.#lastScreen = await this.#tmux("capture-pane", "-p").catch(() => this.#lastScreen);
    return this.#lastScreen;
  }

  /** Resolves when the screen has the text, whose words may stand in two lines. */
  async shows(text: string | RegExp): Promise<void> {
    const isIn = async (): Promise<boolean> => {
      const screen = (await this.screen()).replaceAll(/\s+/g, " ");
      return typeof text === "string" ? screen.includes(text) : text.test(screen);
    };
    await untilFound(isIn, () => `${String(text)} on the screen:\n${this.#lastScreen.trimEnd()}`);
  }

  /** Inserts a text at the cursor, as a paste does. */
  async type(text: string): Promise<void> {
    await this.#tmux("set-buffer", text);
    await this.#tmux("paste-buffer", "-p", "-d");
  }

  /** Types a line and, when the screen shows its end, sends it off: an early return key is taken for part of a paste. */
  async send(line: string): Promise<void> {
    await this.type(line);
    await this.shows(line.slice(-40));
    await pause(PASTE_PAUSE_MS);
    await this.press("Enter");
  }

  /** @param keys as tmux names them: Enter, Escape, Up, C-c, y */
  async press(...keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#tmux("send-keys", key);
  }

  async resize({ columns, rows }: Size): Promise<void> {
    await this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /** Closes the terminal as a closed window does: the kernel sends SIGHUP to what runs in it. */
  async close(): Promise<void> {
    // Where the program has ended, the terminal is closed already.
    await this.#tmux("kill-server").catch(() => undefined);
  }
}
