import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { git, makeRepository, temporaryFolder } from "#harness/machine/git-project.ts";
import type { EventProcess } from "#harness/machine/programs.ts";
import { MachineHome } from "#harness/machine/real-machine.ts";
import { isThere } from "#harness/supervisor/supervisor-process.ts";

/**
 * What the workers run: the first attempt does half of the work, says so, and never ends, nor do those that it has started; one that is told of
 * a checkpoint does the rest.
 */
const program = `
const { spawn, execFileSync } = require("node:child_process");
const { appendFileSync, readFileSync, writeFileSync } = require("node:fs");
const { payload, checkpoint } = JSON.parse(readFileSync(0, "utf8"));
const say = (value) => console.log(JSON.stringify(value));
if (checkpoint?.step === 1) {
  writeFileSync("rest.txt", "rest of it");
  say({ half: readFileSync("half.txt", "utf8"), checkpoint });
} else {
  writeFileSync("half.txt", "half of it");
  const child = spawn(process.execPath, ["-e", "setInterval(() => 0, 1000)"]);
  appendFileSync(payload.pids, process.pid + "\\n" + child.pid + "\\n");
  say({ shim: "checkpoint", step: 1 });
  const timer = setInterval(() => {
    if (!execFileSync("git", ["for-each-ref", "refs/shim"], { encoding: "utf8" })) return;
    clearInterval(timer);
    say({ shim: "progress", percent: 40, note: "half" });
    setTimeout(() => say({ shim: "progress", percent: 50, note: "more" }), 1_200);
    setInterval(() => 0, 1_000);
  }, 50);
}
`;

function startWorker(machine: MachineHome): EventProcess {
  const path = join(machine.home, "program.cjs");
  writeFileSync(path, program);
  return machine.start("worker", "--type", "slow", "--json", "--", process.execPath, path);
}

/** @returns its number */
async function submitted(machine: MachineHome): Promise<string> {
  const payload = JSON.stringify({ pids: join(machine.home, "pids") });
  const { tasks } = await machine.ask("task", "submit", "slow", "--payload", payload);
  return String((tasks as OutputOf<"tasks.submit">["tasks"])[0]?.task);
}

/** Whether the program of the first attempt is there, and the one that it has started. */
function alive({ home }: MachineHome): boolean[] {
  return readFileSync(join(home, "pids"), "utf8").trim().split("\n").map(Number).map(isThere);
}

/** One worker is killed with -9 in the middle of a task, and another finishes it. @returns how and when the first attempt ended, in ms from the kill, by the coordinator */
async function killedInMidTask(machine: MachineHome) {
  const first = startWorker(machine);
  await first.until("registered");
  const number = await submitted(machine);
  const shown = () => machine.ask("task", "show", number);
  const patience = { timeout: 120_000, interval: 100 };
  await vi.waitFor(async () => expect(await shown()).toMatchObject({ progress: { note: "more" } }), patience);
  const second = startWorker(machine);
  await second.until("registered");
  expect(alive(machine)).toEqual([true, true]);
  const killedAt = Date.now();
  first.kill("SIGKILL");
  expect(await second.until("ended")).toMatchObject({ end: "done", state: "done" });
  await vi.waitFor(() => expect(alive(machine)).toEqual([false, false]), patience);
  expect((await second.until("began"))["folder"]).toBe((await first.until("began"))["folder"]);
  const { state, result, attempts } = (await shown()) as unknown as OutputOf<"tasks.get"> & OutputOf<"tasks.history">;
  const now = Date.now();
  expect(state).toBe("done");
  expect(result).toMatchObject({ output: { half: "half of it", checkpoint: { step: 1 } } });
  const { branch } = result as { branch: string };
  for (const part of ["half", "rest"])
    expect(git(machine.project, "show", `${branch}:${part}.txt`)).toBe(`${part} of it`);
  expect(attempts.map(({ end }) => end)).toEqual(["done", "chat_offline"]);
  second.kill("SIGTERM");
  expect(await second.ended).toBe(0);
  expect(second.events.at(-1)).toMatchObject({ event: "over", ends: { done: 1 } });
  expect(existsSync(join(machine.project, "half.txt"))).toBe(false);
  const [, lost] = attempts;
  return { reason: lost?.reason, ms: now - (lost?.endedAgeMs ?? 0) - killedAt };
}

it("of two workers on one machine one is killed, the other finishes in its worktree", async () => {
  // There is no grace: the next request sees that the process is gone.
  const { reason } = await killedInMidTask(new MachineHome());
  expect(reason).toMatch(/: attested$/);
});

it("the same on the edge, over the queue: within the grace and a second @night", async () => {
  const edge = await EdgeRuntime.open();
  const workerGraceMs = 1_000;
  await edge.call("settings.set", { settings: { workerGraceMs } });
  const machine = new MachineHome();
  await edge.join(machine.paths.home, "m1");
  expect((await killedInMidTask(machine)).ms).toBeLessThan(workerGraceMs + 1_000);
});

it("at SIGTERM a worker lets its task end; at the second one it gives it back with its work @night", async () => {
  const machine = new MachineHome();
  const worker = startWorker(machine);
  await worker.until("registered");
  const number = await submitted(machine);
  const state = async () => (await machine.ask("task", "show", number))["state"];
  await worker.until("progress");
  worker.kill("SIGTERM");
  await worker.until("draining");
  expect(await state()).toBe("running");
  worker.kill("SIGTERM");
  expect(await worker.ended).toBe(0);
  expect(alive(machine)).toEqual([false, false]);
  expect(await state()).toBe("queued");
  const again = startWorker(machine);
  await again.until("ended");
  expect(await again.until("began")).toMatchObject({ isContinued: true });
  expect(await state()).toBe("done");
});

/** Writes a file with the name of its type, and answers which files are there. */
const listing = `
const { readdirSync, readFileSync, writeFileSync } = require("node:fs");
const { type } = JSON.parse(readFileSync(0, "utf8"));
writeFileSync(type + ".js", type);
console.log(JSON.stringify(readdirSync(".").filter((name) => name.endsWith(".js"))));
`;

/** @returns the exit code of a worker that does one task */
async function work(machine: MachineHome, type: string, ...more: string[]): Promise<number | null> {
  const options = ["--type", type, "--max-tasks", "1", "--json", ...more];
  return (await machine.shim("worker", ...options, "--", process.execPath, "-e", listing)).code;
}

it("one machine's work is in the next one's worktree through the project's remote @night", async () => {
  const edge = await EdgeRuntime.open();
  const folder = temporaryFolder();
  const [first, origin] = [join(folder, "first"), join(folder, "shared.git")];
  const start = makeRepository(first, { "a.txt": "one\n" });
  git(folder, "clone", "-q", "--bare", first, origin);
  const [here, there] = [new MachineHome("m1", { folder, origin }), new MachineHome("m2", { folder, origin })];
  await edge.join(here.paths.home, "m1");
  await edge.join(there.paths.home, "m2");

  const { tasks } = await edge.call("tasks.submit", {
    tasks: [
      { type: "api", ref: "api" },
      { type: "db", ref: "db" },
      { type: "tests", dependsOn: ["api", "db"], backoff: { baseMs: 0, capMs: 0 } },
    ],
  });
  const [api = 0, , task = 0] = tasks.map((one) => one.task);
  expect(await work(here, "api", "--remote", "origin")).toBe(0);
  expect(await work(there, "db", "--remote", "origin")).toBe(0);

  expect(await work(there, "tests")).toBe(1);
  expect(await edge.call("tasks.get", { task })).toMatchObject({ failures: 1 });
  // The worker may be given the task once more, and give it back, before it has left.
  const { attempts } = await edge.call("tasks.history", { task });
  const reason = /inputs of task 3: commit [0-9a-f]{12} of machine m1 is not here \(task 1, branch shim\/task-1-/;
  expect(attempts).toContainEqual(
    expect.objectContaining({ end: "failed", reason: expect.stringMatching(reason) as string }),
  );

  expect(await work(there, "tests", "--remote", "origin")).toBe(0);
  expect(await edge.call("tasks.get", { task })).toMatchObject({
    state: "done",
    result: { machine: "m2", output: ["api.js", "db.js", "tests.js"] },
  });

  expect(await here.ask("task", "merge", String(task), "--remote", "origin")).toMatchObject({ into: "main" });
  expect(git(here.project, "ls-files").split("\n")).toEqual(["a.txt", "api.js", "db.js", "tests.js", ""]);
  expect(await here.ask("task", "diff", String(api))).toMatchObject({ files: [{ path: "api.js", added: 1 }] });
  const heads = git(origin, "for-each-ref", "--format=%(refname:short)", "refs/heads").split("\n").filter(Boolean);
  expect(heads.filter((name) => !name.startsWith("shim/task-"))).toEqual(["main"]);
  expect(git(origin, "rev-parse", "main").trim()).toBe(start);
});
