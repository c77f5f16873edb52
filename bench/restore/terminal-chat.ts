import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startTerminal, untilFound, type Terminal } from "../../test/harness/claude/claude-code.ts";
import type { ChatOptions, ClientChat } from "./stream-chat.ts";

type Mark = "stop" | "clear";

/** Claude Code with its full screen. The ends of its turns are seen by a Stop hook of the bench's own. */
export class TerminalChat implements ClientChat {
  /** Only the screen knows it. */
  readonly session = null;
  readonly #terminal: Terminal;
  readonly #marks: string;

  constructor(options: ChatOptions, plugin: string) {
    this.#marks = join(options.home, `turns-${process.hrtime.bigint()}`);
    const mark = (what: Mark) => [{ type: "command", command: `echo ${what} >> '${this.#marks}'` }];
    this.#terminal = startTerminal({
      ...options,
      // Its own auto mode sets the allowed tools aside and asks.
      args: ["--permission-mode", "acceptEdits", ...options.args],
      pluginDir: plugin,
      settings: {
        hooks: {
          Stop: [{ hooks: mark("stop") }],
          SessionStart: [{ matcher: "clear", hooks: mark("clear") }],
        },
      },
    });
  }

  clientPid(): Promise<number> {
    return this.#terminal.claudePid();
  }

  /** @returns when the turn has ended, and the hooks of its end */
  async turn(prompt: string): Promise<void> {
    const before = this.#count("stop");
    await this.send(prompt);
    await this.#marked("stop", before + 1, prompt);
    await screenAtRest(() => this.#terminal.screen());
  }

  /** Sends it as one line: the terminal types lines, and a list would not be shown as it was typed. */
  send(prompt: string): Promise<void> {
    return this.#terminal.send(prompt.trim().replaceAll(/\s*\n\s*/g, " "));
  }

  async clear(): Promise<void> {
    await this.send("/clear");
    await this.#marked("clear", 1, "/clear");
    await screenAtRest(() => this.#terminal.screen());
  }

  /** Closes the window: the client gets a hangup. */
  closeTerminal(): void {
    this.#terminal.kill("SIGKILL");
  }

  async finish(): Promise<void> {
    this.#terminal.kill("SIGKILL");
    await this.waitForExit();
  }

  async waitForExit(): Promise<void> {
    await this.#terminal.waitForExit();
  }

  async #marked(what: Mark, count: number, prompt: string): Promise<void> {
    const screen = (): string => this.#terminal.screen().slice(-600);
    await untilFound(() => this.#count(what) >= count || null, `"${what}" of "${prompt}"`).catch((error: unknown) => {
      throw new Error(`${String(error)} On the screen: ${screen()}`);
    });
  }

  #count(what: Mark): number {
    const marks = existsSync(this.#marks) ? readFileSync(this.#marks, "utf8").split("\n") : [];
    return marks.filter((mark) => mark === what).length;
  }
}

const restMs = 600;

/** A client at work paints; the mark of the bench's own hook says nothing about the other hooks of the event. */
async function screenAtRest(screen: () => string): Promise<void> {
  let [last, since] = ["", performance.now()];
  const isAtRest = (): boolean => {
    const now = screen();
    if (now !== last) [last, since] = [now, performance.now()];
    return performance.now() - since > restMs;
  };
  await untilFound(() => isAtRest() || null, "a screen at rest");
}
