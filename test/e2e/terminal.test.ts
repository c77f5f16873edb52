import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect, it } from "vitest";
import { MachineHome } from "#harness/machine/programs.ts";
import { childrenOf } from "#harness/machine/process-tree.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { untilFound, watch } from "#harness/claude/claude-code.ts";

/** A command of `shim` in a real terminal of script(1), then the settings that it has left. */
function inTerminal({ project: cwd, env }: MachineHome, command: string) {
  const line = `stty cols 80 rows 24; "${process.execPath}" "${built.launcher}" ${command}; stty -a`;
  const child = spawn("script", ["-qec", line, "/dev/null"], { cwd, env: { ...env, TERM: "xterm", SHELL: "/bin/sh" } });
  const { pid, output, waitForExit } = watch(child);
  return {
    pid,
    type: (keys: string) => void child.stdin.write(keys),
    shows: (text: string): Promise<unknown> =>
      untilFound(() => stripVTControlCharacters(output.stdout).includes(text), `"${text}" on the screen`),
    /** Everything shown when the shell has ended. */
    ended: async () => (await waitForExit(), output.stdout),
  };
}

/** The cursor and the screen from before, then the settings that a shell needs. */
const left = "\u001b[?25h\u001b[?1049l";
const settings = /[^-]icanon[\s\S]* echo /;

it("`shim up` leaves the terminal as it was, after Ctrl-C and after SIGTERM", async () => {
  const machine = new MachineHome();
  const session = await machine.loseAChat("make the parser faster");
  for (const way of ["Ctrl-C", "signal"]) {
    const screen = inTerminal(machine, "up");
    await screen.shows(` resume ${session.slice(0, 12)}`);
    if (way === "signal") {
      const shell = childrenOf(screen.pid)[0]?.pid ?? 0;
      process.kill(childrenOf(shell)[0]?.pid ?? 0, "SIGTERM");
    } else screen.type("\u0003");
    const [, after = ""] = (await screen.ended()).split(left);
    // Ctrl-C ends the shell, too, which then prints no settings: nothing has changed them.
    expect([way, after]).toEqual([way, way === "signal" ? expect.stringMatching(settings) : ""]);
  }
});

it("`shim init` asks in a terminal, and Ctrl-C changes nothing", async () => {
  const machine = new MachineHome();
  const screen = inTerminal(machine, "init --no-link");
  await screen.shows("Go ahead? [Y/n]");
  screen.type("\u0003");
  expect(await screen.ended()).toContain("Nothing was changed.");
  expect(existsSync(join(machine.home, ".claude.json"))).toBe(false);
  const again = inTerminal(machine, "init --no-link");
  await again.shows("Go ahead? [Y/n]");
  again.type("\r");
  expect(await again.ended()).toContain("SHIM is connected.");
  expect(existsSync(join(machine.home, ".claude.json"))).toBe(true);
});
