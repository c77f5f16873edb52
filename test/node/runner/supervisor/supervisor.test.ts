import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { forAll } from "#harness/properties.ts";
import * as restarter from "#src/runner/supervisor/auto-restarter.ts";
import { endingOf, type ProgramEnding } from "#src/runner/supervisor/auto-restarter.ts";
import { SupervisorSettings, SupervisorState, programSamples } from "#src/runner/supervisor/supervisor-state.ts";
import * as totals from "#src/store/metric-totals.ts";
import { SupervisorRig } from "#harness/supervisor/supervisor-rig.ts";

const job = { kind: "worker", args: ["--config", "a.yaml"] } as const;
const one = { watch: { job } };

it("starts what crashed again after its wait, and a loop no more", async () => {
  const rig = await SupervisorRig.begun(one);
  expect(rig.runs).toHaveLength(1);
  for (const [at, wait] of [1_000, 2_000, 4_000, 8_000].entries()) {
    await rig.end(137);
    await rig.pass(wait - 1);
    expect(rig.runs).toHaveLength(at + 1);
    await rig.pass(1);
    expect(rig.runs).toHaveLength(at + 2);
  }
  await rig.end(137);
  expect(rig.emitted("ended").at(-1)).toMatchObject({ phase: "looping", againInMs: null });
  await rig.pass(3_600_000);
  expect(rig.runs).toHaveLength(5);
  rig.state.requestRestart("job");
  await rig.pass(2_000);
  expect(rig.runs).toHaveLength(6);
  await rig.end(137);
  expect(rig.emitted("ended").at(-1)).toMatchObject({ phase: "due", againInMs: 1_000 });
});

it("what has finished or was stopped stays so, until the user asks for it again", async () => {
  for (const [code, phase] of Object.entries({ 0: "finished", 143: "stopped" })) {
    const rig = await SupervisorRig.begun(one);
    await rig.end(Number(code));
    await rig.pass(100_000);
    expect([rig.runs.length, rig.emitted("ended").at(-1)?.phase]).toEqual([1, phase]);
    rig.state.requestRestart("job");
    await rig.pass(2_000);
    expect(rig.runs).toHaveLength(2);
    // Once for each time.
    await rig.end(Number(code));
    await rig.pass(100_000);
    expect(rig.runs).toHaveLength(2);
  }
});

it("asked to end it ends what it runs, a worker with the time that its tasks get, and the next one continues", async () => {
  const rig = await SupervisorRig.begun({ watch: { job, done: job } }, { env: { SHIM_TOKEN: "t" } });
  const { program } = rig.runs[0]!;
  // A worker is SHIM itself.
  expect(program).toMatchObject({ interruptMs: 65_000, graceMs: 6_000, env: { SHIM_TOKEN: "t" } });
  expect(program.args.slice(1)).toEqual(["worker", "--config", "a.yaml"]);
  await rig.end(0);
  rig.stop();
  expect(await rig.over()).toBe("asked");
  expect(rig.emitted("ending")).toEqual([{ type: "ending", reason: "asked to end" }]);
  expect(["job", "done"].map((name) => rig.stateOf(name).restarts.phase)).toEqual(["due", "finished"]);
  expect(rig.stateOf("job").restarts).toMatchObject({ crashes: [], reason: "it ended with its supervisor" });
});

it("what is running is on the disk before it is started, and was no crash when the supervisor vanished", async () => {
  const rig = await SupervisorRig.begun(one);
  const atStart = readFileSync(join(rig.runtime.paths.home, "supervisor", "state.json"), "utf8");
  expect(rig.stateOf("job").restarts.phase).toBe("running");
  const next = new SupervisorRig(one);
  mkdirSync(join(next.runtime.paths.home, "supervisor"));
  writeFileSync(join(next.runtime.paths.home, "supervisor", "state.json"), atStart);
  await next.begin();
  expect(next.runs).toHaveLength(1);
  expect(next.stateOf("job").restarts).toMatchObject({ phase: "running", crashes: [], failures: 0 });
});

it("the state of a program is reset when its settings change; a damaged file is reported", async () => {
  const rig = await SupervisorRig.begun(one);
  await rig.end(0);
  const known = (file: string): string =>
    rig.state.stateFor("job", { ...job, args: ["--config", file] }, 0).restarts.phase;
  expect([known("a.yaml"), known("b.yaml")]).toEqual(["finished", "due"]);
  const path = join(rig.runtime.paths.home, "supervisor", "state.json");
  const error = { code: "state_damaged", message: expect.stringContaining(`${path} is damaged`) as string };
  for (const text of ["{", '{"programs": 5}', ""]) {
    writeFileSync(path, text);
    expect(SupervisorState.open(rig.runtime.paths.home)).toMatchObject({ error });
  }
});

it("a state that cannot be written now is tried again, and the others continue", async () => {
  const rig = await SupervisorRig.begun({ watch: { job, other: { kind: "worker", args: ["--other"] } } });
  // A file stands where the supervisor's folder should be.
  const folder = join(rig.runtime.paths.home, "supervisor");
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "");
  rig.runs[0]?.end(137);
  await rig.until(() => rig.emitted("problem").length > 0);
  expect(rig.emitted("problem")).toMatchObject([{ name: "job", message: expect.stringMatching(/EEXIST|ENOTDIR/) }]);
  await rig.pass(29_000);
  rmSync(folder);
  expect(rig.runs).toHaveLength(2);
  await rig.pass(2_000);
  expect(rig.runs.map(({ program }) => program.args[2])).toEqual(["--config", "--other", "--config"]);
  expect(rig.stateOf("job").restarts.phase).toBe("running");
});

it("it ends when it uses more memory than it may, in good order", async () => {
  const rig = await SupervisorRig.begun(one);
  rig.runtime.processes.use(1, 256 * 1_048_576);
  await rig.pass(2_000);
  expect(rig.emitted("ending")).toEqual([]);
  rig.runtime.processes.use(1, 256 * 1_048_576 + 1);
  await rig.pass(2_000);
  expect(await rig.over()).toBe("memory");
  expect(rig.emitted("ending")).toEqual([{ type: "ending", reason: "it uses more than 256 MB" }]);
  expect(rig.stateOf("job").restarts.phase).toBe("due");
});

it("a start and output, line by line, are printed without their secrets", async () => {
  const token = `ghp_${"a1B2".repeat(9)}`;
  const rig = await SupervisorRig.begun({ watch: { job: { ...job, args: ["--token", token] } } });
  expect(rig.emitted("started")[0]?.how).toMatch(/ worker --token \[redacted:[^ ]*$/);
  rig.runs[0]?.program.onLine(`using ${token}`);
  rig.runs[0]?.program.onStderr(`bad ${token}\n`);
  const printed = rig.emitted("output").map(({ text }) => text);
  expect(printed.join("\n")).toMatch(/^using \[redacted:[^\n]*\nbad \[redacted:[^\n]*$/);
});

const T0 = 1_700_000_000_000;
const rules = restarter.RestartRules.parse({});
const crash: ProgramEnding = { kind: "crashed", reason: "it was ended by signal 9" };
const limited = (waitMs: number | null): ProgramEnding => ({ kind: "limited", waitMs, reason: "a usage limit" });
const ended = (code: number, isLeft = false): ProgramEnding => endingOf({ kind: "exited", code }, isLeft, false);

it("tells a crash from an end that the user wanted", () => {
  expect(ended(0)).toEqual({ kind: "finished" });
  expect([ended(130), ended(143)]).toEqual([{ kind: "stopped" }, { kind: "stopped" }]);
  expect(ended(143, true)).toEqual({ kind: "left" });
  expect(ended(137)).toEqual({ kind: "crashed", reason: "it was ended by signal 9" });
  expect(ended(139)).toMatchObject({ kind: "crashed" });
  expect(ended(1)).toEqual({ kind: "crashed", reason: "it ended with exit code 1" });
  for (const [code, kind] of [
    ["ENOENT", "failed"],
    ["EAGAIN", "crashed"],
    ["ETXTBSY", "crashed"],
  ] as const) {
    const message = `spawn node ${code}`;
    expect(endingOf({ kind: "not_started", message }, false, false)).toEqual({
      kind,
      reason: `it cannot be started: ${message}`,
    });
  }
});

it("a program that has run and cannot be started has crashed, also under the next supervisor; one that never ran has failed", async () => {
  const missing = "spawn node ENOENT";
  const rig = await SupervisorRig.begun(one);
  await rig.end(137);
  await rig.pass(1_000);
  await rig.end(missing);
  const reason = `it cannot be started: ${missing}`;
  expect(rig.emitted("ended").at(-1)).toMatchObject({ phase: "due", againInMs: 2_000, reason });
  rig.stop();
  await rig.over();
  const next = new SupervisorRig(one, { beside: rig.runtime });
  await next.begin();
  await next.pass(2_000);
  expect(next.runs).toHaveLength(1);
  await next.end("there is no folder /data");
  expect(next.emitted("ended").at(-1)).toMatchObject({ phase: "due", againInMs: 4_000 });
  const fresh = await SupervisorRig.begun(one);
  await fresh.end(missing);
  expect(fresh.emitted("ended").at(-1)).toMatchObject({ phase: "failed", againInMs: null, reason });
});

it("wrong usage of a worker is no crash: it is not started again until the user asks for it", async () => {
  for (const code of [2, 3, 78])
    expect(ended(code)).toEqual({ kind: "failed", reason: `it ended with exit code ${code}, as it would again` });
  const rig = await SupervisorRig.begun(one);
  await rig.end(2);
  await rig.pass(900_000);
  expect([rig.runs.length, rig.stateOf("job").restarts.phase]).toEqual([1, "failed"]);
});

/** Crashes after `ranMs` each, started as soon as it may. @returns the waits */
function waits(count: number, ranMs: number, change: Partial<restarter.RestartRules> = {}): (number | null)[] {
  let now = T0;
  let state = restarter.initial(now);
  return Array.from({ length: count }, () => {
    state = restarter.afterStart(state, now);
    now += ranMs;
    state = restarter.afterEnd(state, crash, now, { ...rules, ...change });
    const wait = restarter.dueInMs(state, now);
    now += wait ?? 0;
    return wait;
  });
}

it("waits double from 1 s up to 10 min and start at 1 s after a run of 10 min; a clock that was set back makes none longer", () => {
  expect(waits(12, 400_000).map((ms) => (ms ?? 0) / 1_000)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
  expect(waits(4, 600_000)).toEqual([1_000, 1_000, 1_000, 1_000]);
  const state = restarter.afterEnd(restarter.afterStart(restarter.initial(T0), T0), crash, T0, rules);
  expect([0, 400, 2_000, -3_600_000].map((ms) => restarter.dueInMs(state, T0 + ms))).toEqual([1_000, 600, 0, 0]);
  const later = { ...state, crashes: [1, 2, 3, 4].map((hours) => T0 + hours * 3_600_000) };
  expect(restarter.afterEnd(later, crash, T0, rules)).toMatchObject({ phase: "due", crashes: [T0] });
});

it("a usage limit is waited for as long as is said; else 5 min doubling up to 5 h", () => {
  const running = restarter.afterStart(restarter.initial(T0), T0);
  expect(restarter.afterEnd(running, limited(3_602_000), T0, rules)).toMatchObject({ phase: "due", waitMs: 3_602_000 });
  let state = running;
  const waits = Array.from({ length: 8 }, () => {
    state = restarter.afterEnd(state, limited(null), T0, rules);
    return state.waitMs / 60_000;
  });
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 300, 300]);
  expect(restarter.afterEnd(state, crash, T0, rules).limits).toBe(0);
});

const endings: fc.Arbitrary<ProgramEnding> = fc.oneof(
  fc.constantFrom(...(["finished", "stopped", "left"] as const)).map((kind) => ({ kind })),
  fc.constantFrom(crash, { kind: "failed", reason: "x" } as const),
  fc.option(fc.integer({ min: 0, max: 7 * 86_400_000 })).map(limited),
);

it("whatever happens, no wait is longer than a week, and no 15 min see more than five crashes started again", () => {
  forAll(300, [fc.array(fc.tuple(endings, fc.integer({ min: 0, max: 1e6 })), { maxLength: 60 })], (events) => {
    let now = T0;
    let state = restarter.initial(now);
    const restarted: number[] = [];
    for (const [end, ranMs] of events) {
      const wait = restarter.dueInMs(state, now);
      if (wait === null) return;
      expect(wait).toBeLessThanOrEqual(7 * 86_400_000);
      state = restarter.afterStart(state, (now += wait));
      state = restarter.afterEnd(state, end, (now += ranMs), rules);
      if (end.kind === "crashed" && state.phase === "due") restarted.push(now);
      expect(restarted.filter((at) => now - at < rules.loopWithinMs).length).toBeLessThan(rules.loopCrashes);
    }
  });
});

function restartsOf({ runtime }: SupervisorRig): Record<string, number> {
  const rows = runtime.store.read((sql) => totals.list(sql), []);
  const own = rows.filter(({ name }) => name === "shim_supervisor_restarts_total");
  return Object.fromEntries(own.map(({ labels, value }) => [(JSON.parse(labels) as string[]).join(), value]));
}

function phaseOf({ state, runtime }: SupervisorRig, isSupervised: boolean): string | undefined {
  const [sample] = programSamples(SupervisorSettings.parse(one), state, runtime.now(), isSupervised);
  return sample?.labels["phase"];
}

it("a first start is no restart; later ones count by what ended the run before", async () => {
  const rig = await SupervisorRig.begun({ ...one, restarts: { loopCrashes: 3 } });
  const facts = (): unknown[] => [restartsOf(rig), phaseOf(rig, true)];
  expect(facts()).toEqual([{}, "running"]);
  await rig.end(1);
  expect(facts()).toEqual([{}, "waiting"]);
  await rig.pass(60_000);
  expect(facts()).toEqual([{ crashed: 1 }, "running"]);
  for (let n = 0; n < 2; n++) {
    await rig.end(1);
    await rig.pass(60_000);
  }
  expect(facts()).toEqual([{ crashed: 2 }, "looping"]);
  rig.state.requestRestart("job");
  await rig.pass(10_000);
  expect(facts()).toEqual([{ crashed: 2, asked: 1 }, "running"]);
  rig.stop();
  await rig.over();
  expect(phaseOf(rig, false)).toBe("unwatched");
});
