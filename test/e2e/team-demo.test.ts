import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { TeamDemo } from "../../demo/team-demo.ts";
import { textOf } from "../../demo/team-checks.ts";
import { descendantsOf } from "../../scripts/local-edge.ts";
import { identify, isAlive, systemProcesses } from "#src/platform/processes.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { processesIn } from "#harness/machine/process-tree.ts";

const root = join(import.meta.dirname, "..", "..");
const main = join(root, "demo", "main.ts");

/** The coordinator and git are asked again for what the demo has found. */
it("three workers do six tasks once, while a worker, the runtime and the queue fail @night", async () => {
  const shown: string[] = [];
  const { env, execPath: node } = process;
  const signal = new AbortController().signal;
  const demo = new TeamDemo({ env, node, now: Date.now, tell: (text) => shown.push(text), signal });
  let isClosed = false;
  onTestFinished(() => (isClosed ? undefined : demo.close()));
  const { checks, times, isComplete } = await demo.run();
  expect(checks.filter(({ holds }) => !holds)).toEqual([]);
  expect(isComplete).toBe(true);

  const { edge, scene } = demo;
  const { tasks } = await edge.call("tasks.list", {});
  const numbers = tasks.map(({ task }) => task).toSorted((a, b) => a - b);
  const known = await Promise.all(numbers.map((task) => edge.call("tasks.get", { task })));
  const types = [...Array.from({ length: 3 }, () => "refactor"), ...Array.from({ length: 3 }, () => "test")];
  expect(known.map(({ type, state }) => [type, state])).toEqual(types.map((type) => [type, "done"]));
  const histories = await Promise.all(numbers.map((task) => edge.call("tasks.history", { task })));
  const ends = histories.map(({ attempts }) =>
    attempts.map(({ end, reason }) => (end === "failed" ? `failed: ${reason}` : end)).toSorted(),
  );
  expect(ends).toEqual([["done"], ["chat_offline", "done"], ["done"], ["done"], ["done"], ["done"]]);

  const [done, lost] = histories[1]?.attempts ?? [];
  expect(lost).toMatchObject({ end: "chat_offline", state: "queued", checkpoint: { done: 2 } });
  expect(done?.chat).not.toBe(lost?.chat);
  expect(known[1]?.result).toMatchObject({ output: { began: 3, edits: 4 } });
  // Not only once it has been silent for too long.
  expect(times.queuedAgain).toBeLessThan(30_000);
  expect(times.queuedAgain).toBeGreaterThan(0);
  expect(shown.join("\n")).toMatch(/The consumer has thrown 3 times/);

  const commits = known.map(({ result }) => (result as { commit: string }).commit);
  const [first, second, third] = commits;
  const merged = scene.git("rev-list", "--no-merges", `main..${commits.at(-1)}`).split("\n");
  expect(merged).toHaveLength(3);
  expect(merged).toEqual(expect.arrayContaining([first, second, third]));
  expect(commits.slice(3, 5)).toEqual([first, second]);
  expect(scene.tests(node, "main")).toEqual({ passed: 0, failed: 7 });
  expect(scene.tests(node, commits.at(-1) ?? "")).toEqual({ passed: 7, failed: 0 });
  expect(scene.git("status", "--porcelain")).toBe("");

  await demo.close();
  isClosed = true;
  expect([existsSync(scene.root), processesIn(scene.root)]).toEqual([false, []]);
});

it("Ctrl-C in the middle of it: all processes end, and no file stays @night", async () => {
  const stage = temporaryFolder();
  const env = { ...process.env, TMPDIR: stage };
  // A terminal sends Ctrl-C to the whole group.
  const options = { env, stdio: ["ignore", "ignore", "pipe"] as ["ignore", "ignore", "pipe"], detached: true };
  const child = spawn(process.execPath, [main, "--only", "team"], options);
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = new Promise<number | null>((resolve) => void child.once("close", resolve));
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  await vi.waitUntil(() => said.includes("kill -9 of"), { timeout: 120_000, interval: 20 });
  const started = [child.pid ?? 0, ...descendantsOf(child.pid ?? 0)].map((pid) => identify(systemProcesses, pid));
  expect(started.length).toBeGreaterThan(4);
  process.kill(-(child.pid ?? 0), "SIGINT");
  expect(await ended).toBe(1);
  expect(said).toMatch(/interrupted; all that was started has been ended and removed\.\n$/);
  expect(started.filter((one) => one !== null && isAlive(systemProcesses, one))).toEqual([]);
  expect(processesIn(stage)).toEqual([]);
  expect(readdirSync(stage).filter((name) => /^(shim|miniflare)-/.test(name))).toEqual([]);
});

it("where the runtime is not installed the part is skipped, and this is reported", () => {
  const without = join(root, "test", "harness", "machine", "without-runtime.mjs");
  const run = (...args: string[]): string => {
    const ran = spawnSync(process.execPath, ["--import", without, main, "--only", "team", ...args], {
      encoding: "utf8",
    });
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    return ran.stdout;
  };
  expect(run()).toMatch(/^The second part, a team of workers on a coordinator, is skipped: miniflare cannot be loaded/);
  expect(JSON.parse(run("--json"))).toMatchObject({ team: { skipped: expect.stringContaining("miniflare") } });
});

it("without git it reports this, and nothing stays", () => {
  const stage = temporaryFolder();
  const env = { ...process.env, TMPDIR: stage, PATH: stage };
  const ran = spawnSync(process.execPath, [main, "--only", "team"], { env, encoding: "utf8" });
  expect([ran.status, ran.stdout]).toEqual([1, ""]);
  expect(ran.stderr).toBe("the demo works in a git project, and git was not found. Install git.\n");
  expect(readdirSync(stage).filter((name) => name.startsWith("shim-"))).toEqual([]);
});

it("what is wrong is named", () => {
  const checks = [
    { what: "all done", holds: true, detail: "6 of 6 tasks" },
    { what: "each once", holds: false, detail: "results by task: 1, 2" },
  ];
  const times = { queuedAgain: 1, runtimeBack: 1, throughFailures: 1, all: 20_000 };
  const text = textOf({ isComplete: false, checks, times }, (_, word) => word);
  expect(text).toMatch(/^ {2}ok +all done +6 of 6 tasks$/m);
  expect(text).toMatch(/^ {2}WRONG +each once +results by task: 1, 2$/m);
  expect(text).toMatch(/^1 of 2 are wrong\.$/m);
});
