import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import { addDemo } from "../../demo/chat-command.ts";
import type { DemoResult } from "../../demo/chat-demo.ts";
import { TeamDemo } from "../../demo/team-demo.ts";
import { descendantsOf } from "../../scripts/local-edge.ts";
import { runProgram } from "#src/cli/commands/program.ts";
import { identify, isAlive, systemProcesses } from "#src/platform/processes.ts";
import { aCliHome, holding } from "#harness/machine/cli-home.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { built, envOf } from "#harness/machine/mcp-process.ts";
import { processesIn } from "#harness/machine/process-tree.ts";
import { tempHome } from "#harness/store/store-test.ts";

it("the built demo: a chat that is killed in mid-tool comes back whole, and nothing is left", () => {
  const paths = tempHome();
  const scratch = join(dirname(paths.home), "scratch");
  mkdirSync(scratch);
  const env = envOf(paths, { TMPDIR: scratch });
  const { status, stdout } = spawnSync(process.execPath, [built.launcher, "demo", "--json"], { env, encoding: "utf8" });
  const result = JSON.parse(stdout) as DemoResult;
  expect(result.checks.filter(({ isBack }) => !isBack)).toEqual([]);
  expect(result.checks.map(({ what }) => what)).toEqual(expect.arrayContaining(["goal", "files of the snapshot"]));
  expect([status, result.isComplete]).toEqual([0, true]);
  expect(readdirSync(dirname(paths.home))).toEqual(["scratch"]);
  // The Node of the pinned version keeps what it has compiled there; that is no file of the demo.
  expect(readdirSync(scratch).filter((entry) => entry.startsWith("shim-"))).toEqual([]);
});

it("what does not come back in the demo is named, and the exit code is 1 @night", async () => {
  const home = aCliHome();
  const scratch = temporaryFolder();
  vi.stubEnv("TMPDIR", scratch);
  onTestFinished(() => void vi.unstubAllEnvs());
  // Prints nothing at a start.
  const hookScript = join(home.folder, "no-brief.mjs");
  writeFileSync(hookScript, `if (process.argv[2] !== "SessionStart") await import(${JSON.stringify(built.hook)});\n`);
  const launch = { node: process.execPath, script: built.launcher, hookScript };
  const { signal } = new AbortController();
  const io = home.io({ env: process.env, launch, now: Date.now, interrupted: () => signal });
  expect(await runProgram(["demo"], io, addDemo), io.err).toBe(1);
  const named = [/^ {2}LOST {2}goal /m, /^ {2}back {2}files of the snapshot /m, /did not come back\.$/m];
  expect(io.out, io.err).toEqual(holding(...named));
  expect(readdirSync(scratch)).toEqual([]);
  await vi.waitUntil(() => processesIn(scratch).length === 0, patience);
});

it("the demo of a team: three workers do six tasks once, while a worker, the runtime and the queue fail @night", async () => {
  const { env, execPath: node } = process;
  const signal = new AbortController().signal;
  const demo = new TeamDemo({ env, node, now: Date.now, tell: () => undefined, signal });
  let isClosed = false;
  onTestFinished(() => (isClosed ? undefined : demo.close()));
  const { checks, isComplete } = await demo.run();
  expect(checks.filter(({ holds }) => !holds)).toEqual([]);
  expect(isComplete).toBe(true);
  const { edge, scene } = demo;
  const { tasks } = await edge.call("tasks.list", {});
  const numbers = tasks.map(({ task }) => task).toSorted((a, b) => a - b);
  const histories = await Promise.all(numbers.map((task) => edge.call("tasks.history", { task })));
  const ends = histories.map(({ attempts }) => attempts.map(({ end }) => end).toSorted());
  expect(ends).toEqual([["done"], ["chat_offline", "done"], ["done"], ["done"], ["done"], ["done"]]);
  const last = (await edge.call("tasks.get", { task: numbers.at(-1) ?? 0 })).result as { commit: string };
  expect(scene.tests(node, "main")).toEqual({ passed: 0, failed: 7 });
  expect(scene.tests(node, last.commit)).toEqual({ passed: 7, failed: 0 });
  await demo.close();
  isClosed = true;
  expect(existsSync(scene.root)).toBe(false);
  await vi.waitFor(() => expect(processesIn(scene.root)).toEqual([]), patience);
});

it.each([
  ["team", "kill -9 of"],
  ["story", "takes task 2"],
])("Ctrl-C in the middle of the demo %s: all processes end, and no file stays @night", async (part, sign) => {
  const stage = temporaryFolder();
  const main = join(import.meta.dirname, "..", "..", "demo", "main.ts");
  // A terminal sends Ctrl-C to the whole group.
  const child = spawn(process.execPath, [main, "--only", part], {
    env: { ...process.env, TMPDIR: stage },
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = new Promise<number | null>((resolve) => void child.once("close", resolve));
  let shown = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (shown += text));
  await vi.waitUntil(() => shown.includes(sign), patience);
  const started = descendantsOf(child.pid ?? 0).map((pid) => identify(systemProcesses, pid));
  expect(started.length).toBeGreaterThan(3);
  process.kill(-(child.pid ?? 0), "SIGINT");
  expect(await ended).toBe(1);
  expect(shown).toMatch(/interrupted; all that was started has been ended and removed\.\n$/);
  expect(started.filter((one) => one !== null && isAlive(systemProcesses, one))).toEqual([]);
  expect(readdirSync(stage).filter((name) => /^(shim|miniflare)-/.test(name))).toEqual([]);
});
