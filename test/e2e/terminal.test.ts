import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { outputOf, MachineHome } from "#harness/machine/programs.ts";
import { childrenOf } from "#harness/machine/process-tree.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { untilFound } from "#harness/claude/claude-code.ts";

interface Screen {
  /** A shell in a pseudo-terminal of script(1). */
  readonly terminal: ChildProcess;
  /** Resolves when this text was shown. */
  shows(text: string): Promise<unknown>;
  /** Everything shown when the shell has ended. */
  ended(): Promise<string>;
}

/** A command of `shim` in a real terminal, then the settings that it has left. */
function inTerminal({ project, env }: MachineHome, command: string): Screen {
  const line = `stty cols 80 rows 24; "${process.execPath}" "${built.launcher}" ${command}; stty -a`;
  const terminal = spawn("script", ["-qec", line, "/dev/null"], {
    cwd: project,
    env: { ...env, TERM: "xterm", SHELL: "/bin/sh" },
  });
  let out = "";
  terminal.stdout.on("data", (data) => void (out += String(data)));
  const closed = outputOf(terminal, null);
  const shows = (text: string): Promise<unknown> =>
    untilFound(() => stripVTControlCharacters(out).includes(text), `"${text}" on the screen`);
  return { terminal, shows, ended: async () => (await closed, out) };
}

/** The cursor and the screen from before, then the settings that a shell needs. */
const left = "\u001b[?25h\u001b[?1049l";
const settings = /[^-]icanon[\s\S]* echo /;

it("`shim up` takes keys and leaves the terminal as it was, also after SIGTERM", async () => {
  const machine = new MachineHome();
  const session = await machine.loseAChat("make the parser faster");
  for (const way of ["key", "Ctrl-C", "signal"]) {
    const screen = inTerminal(machine, "up");
    await screen.shows("q: leave");
    screen.terminal.stdin?.write("?");
    await screen.shows("Any key closes this help.");
    if (way === "signal") {
      const shell = childrenOf(screen.terminal.pid ?? 0)[0]?.pid ?? 0;
      process.kill(childrenOf(shell)[0]?.pid ?? 0, "SIGTERM");
    } else screen.terminal.stdin?.write(way === "key" ? "q" : "\u0003");
    const out = await screen.ended();
    expect(out).toContain(` resume ${session.slice(0, 12)}`);
    const [, after = ""] = out.split(left);
    expect([way, after]).toEqual([way, expect.stringMatching(settings)]);
  }
});

it("`shim init` asks in a terminal, and Ctrl-C changes nothing", async () => {
  const machine = new MachineHome();
  const screen = inTerminal(machine, "init --no-link");
  await screen.shows("Go ahead? [Y/n]");
  screen.terminal.stdin?.write("\u0003");
  expect(await screen.ended()).toContain("Nothing was changed.");
  expect(existsSync(join(machine.home, ".claude.json"))).toBe(false);
  const again = inTerminal(machine, "init --no-link");
  await again.shows("Go ahead? [Y/n]");
  again.terminal.stdin?.write("\r");
  expect(await again.ended()).toContain("SHIM is connected.");
  expect(existsSync(join(machine.home, ".claude.json"))).toBe(true);
});
