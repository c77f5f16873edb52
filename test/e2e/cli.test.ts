import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { DemoResult } from "../../demo/chat-demo.ts";
import { built, envOf, oldNode } from "#harness/machine/mcp-process.ts";
import { tempHome } from "#harness/store/temp-store.ts";
import { outputOf, type Output } from "#harness/machine/programs.ts";
import { MachineHome } from "#harness/machine/real-machine.ts";

/** The built program behind its launcher, in real processes and a real terminal. */
function shim(machine: MachineHome, args: readonly string[], input = ""): Promise<Output> {
  return outputOf(machine.spawn(args, "pipe"), input);
}

/** Does something once the text is on stdout, and waits for the end. */
function until(child: ChildProcess, text: string, act: () => void): Promise<Output> {
  let out = "";
  child.stdout?.on("data", (part: string) => {
    const isNew = !out.includes(text);
    out += part;
    if (isNew && out.includes(text)) act();
  });
  return outputOf(child, null);
}

it("the built program answers on a fresh machine, creates nothing, and passes exit codes on", async () => {
  const machine = new MachineHome();
  expect(await shim(machine, ["--version"])).toMatchObject({ code: 0, err: "" });
  const out = expect.stringContaining("bin/shim.mjs init  connects it") as string;
  expect(await shim(machine, ["up"])).toMatchObject({ code: 0, out, err: "" });
  expect((await shim(machine, ["sessions", "show", "x"])).code).toBe(3);
  expect((await shim(machine, ["nonsense"])).code).toBe(2);
  expect(existsSync(machine.paths.home)).toBe(false);
});

it("the status line has a program of its own, which never fails", async () => {
  const machine = new MachineHome();
  expect(await shim(machine, ["statusline"], "no JSON")).toEqual({ code: 0, out: "SHIM: not saved yet\n", err: "" });
  const { out } = await shim(machine, ["statusline", "--json"], "{}");
  expect(JSON.parse(out)).toMatchObject({ session: null, trouble: null });
  writeFileSync(machine.paths.home, "a file where the folder should be");
  expect((await shim(machine, ["statusline"], "{}")).code).toBe(0);
});

it("Ctrl-C ends the live view, and the cursor is restored", async () => {
  const { env, project: cwd } = new MachineHome();
  const command = `exec "${process.execPath}" "${built.launcher}" up`;
  const child = spawn("script", ["-qefc", command, "/dev/null"], { cwd, env: { ...env, TERM: "xterm" } });
  const ended = await until(child, "Ctrl-C ends this view", () => child.stdin.write("\u0003"));
  expect(ended.code).toBe(0);
  expect(ended.out).toContain("\u001b[?25l");
  expect(ended.out.trimEnd().endsWith("\u001b[?25h")).toBe(true);
});

it("a reader that goes away early is no error", () => {
  const { env, project: cwd } = new MachineHome();
  const ran = spawnSync("sh", ["-c", "shim --help | head -1"], { cwd, env, encoding: "utf8" });
  expect(ran).toMatchObject({ status: 0, stderr: "" });
});

const nodes = { "this Node": process.execPath, "an old Node": oldNode() };

it.for(Object.entries(nodes))(
  "the built demo, started by %s: all is restored, and nothing is left @night",
  ([, node], test) => {
    if (node === null) return test.skip("there is no Node older than 22 on the PATH");
    const paths = tempHome();
    const scratch = join(dirname(paths.home), "scratch");
    mkdirSync(scratch);
    const env = envOf(paths, { TMPDIR: scratch });
    const { status, stdout } = spawnSync(node, [built.launcher, "demo", "--json"], { env, encoding: "utf8" });
    const result = JSON.parse(stdout) as DemoResult;
    expect(result.checks.filter(({ isBack }) => !isBack)).toEqual([]);
    expect([status, result.isComplete]).toEqual([0, true]);
    expect(readdirSync(dirname(paths.home))).toEqual(["scratch"]);
    // The Node of the pinned version keeps what it has compiled there; that is no file of the demo.
    expect(readdirSync(scratch).filter((entry) => entry.startsWith("shim-"))).toEqual([]);
  },
);
