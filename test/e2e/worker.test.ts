import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { git, temporaryFolder, write } from "#harness/machine/git-project.ts";

/** The built program behind its launcher, as `shim worker` is run. */
const launcher = join(import.meta.dirname, "..", "..", "bin", "shim.mjs");

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

interface Place {
  readonly folder: string;
  readonly repository: string;
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
}

function aPlace(): Place {
  const folder = temporaryFolder();
  const repository = join(folder, "repository");
  mkdirSync(repository);
  git(repository, "init", "-q", "-b", "main");
  write(repository, { "a.txt": "one\n" });
  git(repository, "add", ".");
  git(repository, "commit", "-qm", "first");
  const home = join(folder, "shim");
  const settings = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" };
  const env = { PATH: process.env["PATH"], HOME: folder, SHIM_HOME: home, ...settings };
  writeFileSync(join(folder, "program.cjs"), program);
  return { folder, repository, home, env };
}

function shim({ repository, env }: Place, ...args: string[]): Record<string, unknown> {
  const ran = spawnSync(process.execPath, [launcher, ...args, "--json"], { cwd: repository, env, encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`shim ${args.join(" ")}: ${ran.stderr}`);
  return JSON.parse(ran.stdout) as Record<string, unknown>;
}

interface WorkerProcess {
  readonly child: ChildProcess;
  readonly events: { readonly event: string; readonly [name: string]: unknown }[];
  readonly code: Promise<number | null>;
}

function startWorker({ folder, repository, env }: Place): WorkerProcess {
  const args = [launcher, "worker", "--type", "slow", "--json", "--", process.execPath, join(folder, "program.cjs")];
  const child = spawn(process.execPath, args, { cwd: repository, env, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const events: WorkerProcess["events"] = [];
  createInterface({ input: child.stdout }).on("line", (line) =>
    events.push(JSON.parse(line) as (typeof events)[number]),
  );
  const code = new Promise<number | null>((resolve) => void child.once("exit", resolve));
  return { child, events, code };
}

function isAlive(pid: number): boolean {
  try {
    return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 30_000, interval: 100 });
}

/** One worker is killed with -9 in the middle of a task, and another finishes it. @returns ms from the kill to the end of the first attempt, by the coordinator */
async function killedInMidTask(place: Place): Promise<number> {
  const pids = join(place.folder, "pids");
  const first = startWorker(place);
  await until(() => expect(first.events.map(({ event }) => event)).toContain("registered"));
  const payload = JSON.stringify({ pids });
  const submitted = shim(place, "task", "submit", "slow", "--payload", payload) as unknown as OutputOf<"tasks.submit">;
  const number = String(submitted.tasks[0]?.task);
  await until(() => expect(shim(place, "task", "show", number)).toMatchObject({ progress: { note: "more" } }));
  const second = startWorker(place);
  await until(() => expect(second.events.map(({ event }) => event)).toContain("registered"));
  const running = readFileSync(pids, "utf8").trim().split("\n").map(Number);
  expect(running.map(isAlive)).toEqual([true, true]);
  const killedAt = Date.now();
  first.child.kill("SIGKILL");
  await until(() => expect(second.events.map(({ event }) => event)).toContain("ended"));
  await until(() => expect(running.map(isAlive)).toEqual([false, false]));
  const folders = [first, second].map(({ events }) => events.find(({ event }) => event === "began")?.["folder"]);
  expect(folders[1]).toBe(folders[0]);
  expect(second.events.find(({ event }) => event === "ended")).toMatchObject({ end: "done", state: "done" });
  const shown = shim(place, "task", "show", number) as unknown as OutputOf<"tasks.get"> & OutputOf<"tasks.history">;
  const now = Date.now();
  expect(shown.state).toBe("done");
  const result = shown.result as { branch: string; output: unknown };
  expect(result.output).toMatchObject({ half: "half of it", checkpoint: { step: 1 } });
  expect(git(place.repository, "show", `${result.branch}:half.txt`)).toBe("half of it");
  expect(git(place.repository, "show", `${result.branch}:rest.txt`)).toBe("rest of it");
  expect(shown.attempts.map(({ end }) => end)).toEqual(["done", "chat_offline"]);
  second.child.kill("SIGTERM");
  expect(await second.code).toBe(0);
  expect(second.events.at(-1)).toMatchObject({ event: "over", ends: { done: 1 } });
  expect(existsSync(join(place.repository, "half.txt"))).toBe(false);
  const lost = shown.attempts.find(({ end }) => end === "chat_offline");
  return now - (lost?.endedAgeMs ?? 0) - killedAt;
}

it("[WK5] [WK12] [WK15] of two workers on one machine one is killed, the other finishes in its worktree", async () => {
  const afterMs = await killedInMidTask(aPlace());
  // There is no grace: whoever asks next sees that the process is gone.
  expect(afterMs).toBeLessThan(3_000);
});

it("[WK5] [WK15] the same on the edge, over the queue: within the grace and a second", async () => {
  const edge = await EdgeRuntime.open();
  const graceMs = 1_000;
  await edge.call("settings.set", { settings: { workerGraceMs: graceMs } });
  const place = aPlace();
  const { token } = await edge.call("tokens.create", { machine: "m1", scope: "work" });
  const { url, workspace } = edge;
  writeEdgeConfig(place.home, { url, workspace, machine: "m1", token });
  const afterMs = await killedInMidTask(place);
  expect(afterMs).toBeLessThan(graceMs + 1_000);
});

it("[WK10] at SIGTERM a worker lets its task end; at the second one it gives it back with its work", async () => {
  const place = aPlace();
  const pids = join(place.folder, "pids");
  const worker = startWorker(place);
  await until(() => expect(worker.events.map(({ event }) => event)).toContain("registered"));
  const payload = JSON.stringify({ pids });
  const submitted = shim(place, "task", "submit", "slow", "--payload", payload) as unknown as OutputOf<"tasks.submit">;
  const number = String(submitted.tasks[0]?.task);
  await until(() => expect(worker.events.map(({ event }) => event)).toContain("progress"));
  worker.child.kill("SIGTERM");
  await until(() => expect(worker.events.map(({ event }) => event)).toContain("draining"));
  expect(shim(place, "task", "show", number)).toMatchObject({ state: "running" });
  worker.child.kill("SIGTERM");
  expect(await worker.code).toBe(0);
  expect(readFileSync(pids, "utf8").trim().split("\n").map(Number).map(isAlive)).toEqual([false, false]);
  expect(shim(place, "task", "show", number)).toMatchObject({ state: "queued" });
  const again = startWorker(place);
  await until(() => expect(again.events.map(({ event }) => event)).toContain("ended"));
  expect(again.events.find(({ event }) => event === "began")).toMatchObject({ isContinued: true });
  expect(shim(place, "task", "show", number)).toMatchObject({ state: "done" });
});
