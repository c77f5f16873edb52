import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { aHost } from "#harness/machine/host-rig.ts";
import { patience } from "#harness/machine/programs.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { isAlive, systemProcesses, identify } from "#src/platform/processes.ts";
import { runProgram, type ProgramExit } from "#src/platform/run-program.ts";
import { HostedRuns, type HostedRun } from "#src/runtime/hosted-runs.ts";

afterEach(() => void vi.useRealTimers());

const exited: ProgramExit = { kind: "exited", code: 0 };
const facts = { session: null, project: "/p", client: "A client", by: "phone Ada's", startedAt: 1 };

/** A real program in the place of a client. */
function aRun(runs: HostedRuns, script: string, id = "r1"): Promise<HostedRun> {
  const { promise, resolve } = Promise.withResolvers<HostedRun>();
  const command = {
    command: "/bin/sh",
    args: ["-c", script],
    cwd: temporaryFolder(),
    env: process.env,
    input: "hello\n",
  };
  runs.start({ ...facts, id }, command, resolve);
  return promise;
}

it.each([
  ["done", "cat", "hello\n"],
  ["failed", "echo no >&2; exit 3", "no\n"],
])("a run that is %s says so, with the last words that it printed", async (state, script, text) => {
  const runs = new HostedRuns(runProgram);
  const over = aRun(runs, script);
  expect(runs.working).toBe(1);
  expect(await over).toMatchObject({ ...facts, state, text });
  expect([runs.working, runs.list()]).toMatchObject([0, [{ id: "r1", state }]]);
});

it("a run at work is known however many end after it, of which the newest hundred are", async () => {
  const { promise: working, resolve: end } = Promise.withResolvers<ProgramExit>();
  const runs = new HostedRuns(({ args: [kind] }) => (kind === "long" ? working : Promise.resolve(exited)));
  const start = (id: string, kind: string): Promise<HostedRun> => {
    const { promise, resolve } = Promise.withResolvers<HostedRun>();
    runs.start({ ...facts, id }, { command: "client", args: [kind], cwd: "/", env: {}, input: "" }, resolve);
    return promise;
  };
  const over = start("first", "long");
  for (let at = 0; at < 120; at++) await start(`r${at}`, "short");
  expect([runs.working, runs.list().length, runs.list()[0]?.id]).toEqual([1, 100, "first"]);
  end(exited);
  expect((await over).state).toBe("done");
});

it("a run whose program is missing has failed, and says which", async () => {
  const runs = new HostedRuns(runProgram);
  const { promise, resolve } = Promise.withResolvers<HostedRun>();
  const command = { command: "no-such-client", args: [], cwd: temporaryFolder(), env: process.env, input: "" };
  runs.start({ ...facts, id: "r1" }, command, resolve);
  const { state, text } = await promise;
  expect([state, text]).toEqual(["failed", expect.stringContaining("no-such-client")]);
});

it("a host that ends ends the clients that it has started, and the processes below them", async () => {
  const runtime = { ...tempRuntime(), runs: new HostedRuns(runProgram) };
  const host = await aHost(runtime);
  const mark = join(temporaryFolder(), "begun");
  const over = aRun(runtime.runs, `sleep 600 & echo $! > ${mark}; wait`);
  await vi.waitUntil(() => existsSync(mark), patience);
  const group = runtime.runs.list()[0]?.group ?? 0;
  const leader = identify(systemProcesses, group);
  host.host.stop();
  await host.ended;
  expect((await over).state).toBe("stopped");
  expect(leader && isAlive(systemProcesses, leader)).toBe(false);
});
