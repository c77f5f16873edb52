import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, it, onTestFinished, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import type { Progress } from "#src/contract/tasks.ts";
import { endGroup, groupOf, runProgram, type Program } from "#src/platform/run-program.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { commandExecutor, BoundedOutput, keepOutput } from "#src/runner/worker/command-executor.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { aClaim } from "#harness/worker/repository-rig.ts";

const node = process.execPath;
/** A worker's process that runs one program and does nothing else: arguments are the folder and the script. */
const workerProcess = `import { runProgram } from ${JSON.stringify(import.meta.resolve("#src/platform/run-program.ts"))};
  const [cwd, script] = process.argv.slice(1);
  const { signal } = new AbortController();
  const program = { command: process.execPath, args: ["-e", script], cwd, env: process.env, input: "", signal, graceMs: 1_000 };
  await runProgram({ ...program, onLine: (line) => console.log(line), onStderr: (text) => process.stderr.write(text) });`;
/** A program of a task that has a child which does not heed TERM, and is not waited for. */
const withDeafChild = `const { spawn } = require("node:child_process");
  const deaf = spawn(process.execPath, ["-e", 'process.on("SIGTERM", () => 0); console.log("up"); setInterval(() => 0, 1000)'], { stdio: ["ignore", "pipe", "ignore"] });
  deaf.stdout.once("data", () => { console.log("deaf " + deaf.pid); next(); });`;

const isAlive = (pid: number): boolean => systemProcesses.facts(pid) !== null;

function begin(script: string, overrides: Partial<Program> = {}) {
  const lines: string[] = [];
  const ended = runProgram({
    command: node,
    args: ["-e", script],
    cwd: temporaryFolder(),
    env: process.env,
    input: "",
    signal: new AbortController().signal,
    graceMs: 300,
    onLine: (line) => void lines.push(line),
    onStderr: () => undefined,
    ...overrides,
  });
  /** The first line that begins so; its rest. */
  const printed = (start: string): Promise<string> => {
    const find = (): string | undefined => lines.find((line) => line.startsWith(start));
    return vi.waitUntil(find, patience).then((line) => line.slice(start.length));
  };
  return { lines, ended, printed };
}

it("when a program has ended nothing that it left behind is alive, in its group or out of it where it can be found", async () => {
  const script = `${withDeafChild} function next() {
    const away = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
    console.log("away " + away.pid); process.exit(0); }`;
  const ran = begin(script);
  const left = [Number(await ran.printed("deaf ")), Number(await ran.printed("away "))];
  expect(await ran.ended).toEqual({ kind: "exited", code: 0 });
  expect(left.map(isAlive)).toEqual([false, false]);
});

it("a stop is TERM to all of them, then KILL to those that are left", async () => {
  const stop = new AbortController();
  const script = `${withDeafChild} function next() { process.on("SIGTERM", () => { console.log("heard"); process.exit(5); }); console.log("ready"); setInterval(() => 0, 1000); }`;
  const ran = begin(script, { signal: stop.signal, graceMs: 5_000 });
  const deaf = Number(await ran.printed("deaf "));
  await ran.printed("ready");
  stop.abort();
  expect(await ran.ended).toEqual({ kind: "exited", code: 5 });
  expect([ran.lines.at(-1), isAlive(deaf)]).toEqual(["heard", false]);
});

it("a pid that was given to another process is not killed", async () => {
  const child = spawn("sleep", ["60"], { detached: true, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child, "spawn");
  const group = groupOf(child.pid ?? 0);
  await endGroup({ ...group, start: `${group.start}0` }, 0);
  expect(isAlive(group.pid)).toBe(true);
  const ended = once(child, "exit");
  await endGroup(group, 120_000);
  expect(await ended).toEqual([null, "SIGTERM"]);
});

it("a program stopped before it has begun is not started; one that cannot be started is reported", async () => {
  expect(await begin("", { signal: AbortSignal.abort() }).ended).toMatchObject({ kind: "not_started" });
  const missing = { kind: "not_started", message: expect.stringContaining("ENOENT") as string };
  expect(await begin("", { command: "no-such-program" }).ended).toMatchObject(missing);
  const cwd = join(temporaryFolder(), "gone");
  expect(await begin("", { cwd }).ended).toMatchObject({ ...missing, message: `there is no folder ${cwd}` });
  expect(await begin("process.kill(process.pid, 'SIGKILL')").ended).toEqual({ kind: "exited", code: 137 });
});

it("lines and outputs are bounded", async () => {
  const ran = begin(`process.stdout.write("x".repeat(3_000_000) + "\\nlast\\n")`);
  await ran.ended;
  expect(ran.lines.map(({ length }) => length)).toEqual([300_000, 4]);
  const output = new BoundedOutput(10);
  for (let n = 0; n < 100; n++) output.push(`line ${n}\n`);
  expect(output.text).toBe("line 0\nlin\n[... 770 characters ...]\n8\nline 99\n");
});

it("a worker that is killed with -9 leaves nothing of its programs behind", async () => {
  const folder = temporaryFolder();
  const script = `${withDeafChild} function next() { console.log("self " + process.pid); setInterval(() => 0, 1000); }`;
  const worker = spawn(node, ["--input-type=module", "-e", workerProcess, folder, script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void worker.kill("SIGKILL"));
  const pids: number[] = [];
  for await (const line of createInterface({ input: worker.stdout })) {
    pids.push(Number(line.split(" ")[1]));
    if (pids.length === 2) break;
  }
  expect(pids.map(isAlive)).toEqual([true, true]);
  worker.kill("SIGKILL");
  await vi.waitFor(() => expect(pids.map(isAlive)).toEqual([false, false]), patience);
});

const task = aClaim({
  claim: 3,
  attempt: 2,
  payload: { file: "$(touch hacked); `touch hacked`" },
  progress: { percent: 10 },
  checkpoint: { step: 1 },
  inputs: [{ task: 6, ref: null, state: "done", result: "r", isLeftOut: false }],
});

function nothing(): void {}

type Command = readonly [program: string, ...args: string[]];
type Execution = Readonly<{ signal?: AbortSignal; heed?: (text: string) => void; command?: Command }>;

async function execute(script: string, more: Execution = {}) {
  const { signal = new AbortController().signal, heed = nothing, command = [node, "-e", script] } = more;
  const ours = { SHIM_ADMIN_SECRET: "secret", SHIM_LEASE_TOKEN: "9", GIT_DIR: "/other" };
  const seen = { progress: [] as Progress[], checkpoints: [] as object[], output: "" };
  const outcome = await commandExecutor({ command, env: { ...process.env, ...ours, OF_THE_USER: "yes" } }).run({
    task,
    folder: temporaryFolder(),
    merged: { tasks: [], conflicts: [] },
    base: null,
    signal,
    budgetLeft: task.budget,
    findRouteCounts: () => Promise.resolve(null),
    onUsage: nothing,
    onRoute: nothing,
    onModel: nothing,
    onProgress: (one) => seen.progress.push(one),
    onCheckpoint: (one) => seen.checkpoints.push(one),
    onOutput: (text) => {
      seen.output += text;
      heed(text);
    },
  });
  return { outcome, ...seen };
}

const readTask = `const task = JSON.parse(require("node:fs").readFileSync(0, "utf8"));`;

it("a command gets its task as JSON on stdin, and its last line is the result", async () => {
  const script = `${readTask} console.log("working"); console.log(JSON.stringify(task)); console.log("")`;
  const { payload, attempt, progress, checkpoint, inputs } = task;
  const result = { task: 7, type: "build", payload, attempt, progress, checkpoint, inputs };
  expect((await execute(script)).outcome).toEqual({ kind: "done", result });
  expect((await execute("console.log('plain text')")).outcome).toEqual({ kind: "done", result: "plain text" });
  expect((await execute("")).outcome).toEqual({ kind: "done", result: null });
});

/** A program that says this. */
const say = (value: unknown): string => `console.log(${JSON.stringify(JSON.stringify(value))});`;

it("lines for the worker are progress and checkpoints, not results; any other line is output @night", async () => {
  const half = say({ shim: "progress", percent: 50, note: "half" });
  const second = say({ shim: "checkpoint", step: 2, files: ["a"] });
  const { outcome, progress, checkpoints, output } = await execute(`console.log("the result"); ${half} ${second}`);
  expect(outcome).toEqual({ kind: "done", result: "the result" });
  expect([progress, checkpoints]).toEqual([[{ percent: 50, note: "half" }], [{ step: 2, files: ["a"] }]]);
  expect(output).toContain('{"shim":"progress"');
  const strange = [{ shim: "progress", percent: "much" }, { shim: "other" }, { shim: "progress", unknown: 1 }];
  for (const one of strange) expect((await execute(say(one))).outcome).toEqual({ kind: "done", result: one });
  const broken = await execute(`console.log('{"shim": broken')`);
  expect(broken.outcome).toEqual({ kind: "done", result: '{"shim": broken' });
});

it("another exit code is a failure, to be repeated, with the last line", async () => {
  for (const [script, reason] of [
    ["console.error('first'); console.error('it broke'); process.exitCode = 75", "exit code 75: it broke"],
    ["console.log('only stdout'); process.exitCode = 4", "exit code 4: only stdout"],
    ["console.error('\\u001b[31mboom\\u001b[0m\\n\\n\\u001b[0m'); process.exitCode = 4", "exit code 4: boom"],
    ["process.exitCode = 4", "exit code 4"],
  ] as const)
    expect((await execute(script)).outcome).toEqual({ kind: "failed", reason, isRetryable: true });
  const { outcome } = await execute("", { command: ["no-such-program"] });
  expect(outcome).toMatchObject({ kind: "failed", isRetryable: true });
});

it("a stop that comes when the command has ended, and only what it left behind has not, takes no result back; what it says at a stop is none", async () => {
  const stop = new AbortController();
  const left = `process.on("SIGTERM", () => { console.error("bye"); setTimeout(() => process.exit(), 100); }); setInterval(() => 0, 1000); process.send("up");`;
  const script = `const away = require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(left)}], { detached: true, stdio: ["ignore", "inherit", "inherit", "ipc"] });
    away.on("message", () => { console.log("finished"); process.exit(0); });`;
  const heed = (text: string): void => void (text.includes("bye") && stop.abort());
  const { outcome } = await execute(script, { signal: stop.signal, heed });
  expect([stop.signal.aborted, outcome]).toEqual([true, { kind: "done", result: "finished" }]);
  const early = new AbortController();
  const half = 'process.on("SIGTERM", () => process.exit(0)); setInterval(() => 0, 1000); console.log("half")';
  const stopped = await execute(half, { signal: early.signal, heed: () => early.abort() });
  expect(stopped.outcome).toEqual({ kind: "stopped" });
});

it("no shell sees anything of a task, and none of SHIM's secrets is passed on", async () => {
  const script = `const names = "SHIM_ADMIN_SECRET SHIM_LEASE_TOKEN OF_THE_USER GIT_DIR SHIM_TASK SHIM_CLAIM".split(" ");
    const files = require("node:fs").readdirSync(".");
    console.log(JSON.stringify([process.argv.slice(1), files, ...names.map((name) => process.env[name])]));`;
  const { outcome } = await execute(script);
  expect(outcome).toEqual({ kind: "done", result: [[], [], null, null, "yes", null, "7", "3"] });
});

it("the newest two hundred outputs are kept, without secrets, and no file for an empty one", () => {
  const folder = join(temporaryFolder(), "output");
  for (let task = 1; task <= 205; task++) {
    keepOutput(folder, { task, claim: 1 }, `of ${task}`);
    utimesSync(join(folder, `task-${task}-1.txt`), task, task);
  }
  keepOutput(folder, { task: 300, claim: 1 }, "");
  keepOutput(folder, { task: 301, claim: 1 }, `last ghp_${"a1B2".repeat(9)}`);
  const names = readdirSync(folder);
  expect(names).toHaveLength(200);
  expect([301, 300, 5].map((number) => names.includes(`task-${number}-1.txt`))).toEqual([true, false, false]);
  expect(readFileSync(join(folder, "task-301-1.txt"), "utf8")).toMatch(/^last \[redacted:/);
});
