import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { SupervisorState } from "#src/runner/supervisor/supervisor-state.ts";
import { SupervisorRig } from "#harness/supervisor/supervisor-rig.ts";

const job = { kind: "worker", args: ["--config", "a.yaml"] } as const;
const one = { watch: { job } };

it("starts what crashed again after its wait, and a loop no more", async () => {
  const rig = new SupervisorRig(one);
  await rig.begin();
  expect(rig.runs).toHaveLength(1);
  for (const [wait, runs] of [
    [1_000, 2],
    [2_000, 3],
    [4_000, 4],
    [8_000, 5],
  ] as const) {
    await rig.end(137);
    await rig.pass(wait - 1);
    expect(rig.runs).toHaveLength(runs - 1);
    await rig.pass(1);
    expect(rig.runs).toHaveLength(runs);
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
  for (const [code, phase] of [
    [0, "finished"],
    [143, "stopped"],
  ] as const) {
    const rig = new SupervisorRig(one);
    await rig.begin();
    await rig.end(code);
    await rig.pass(100_000);
    expect([rig.runs.length, rig.emitted("ended").at(-1)?.phase]).toEqual([1, phase]);
    rig.state.requestRestart("job");
    await rig.pass(2_000);
    expect(rig.runs).toHaveLength(2);
    // Once for each time.
    await rig.end(code);
    await rig.pass(100_000);
    expect(rig.runs).toHaveLength(2);
  }
});

it("asked to end it ends what it runs, a worker with the time that its tasks get, and the next one continues", async () => {
  const rig = new SupervisorRig({ watch: { job, done: job } }, { env: { SHIM_TOKEN: "t" } });
  await rig.begin();
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
  const rig = new SupervisorRig(one);
  await rig.begin();
  const path = join(rig.runtime.paths.home, "supervisor", "state.json");
  const atStart = readFileSync(path, "utf8");
  expect(rig.stateOf("job").restarts.phase).toBe("running");
  const next = new SupervisorRig(one);
  mkdirSync(join(next.runtime.paths.home, "supervisor"));
  writeFileSync(join(next.runtime.paths.home, "supervisor", "state.json"), atStart);
  await next.begin();
  expect(next.runs).toHaveLength(1);
  expect(next.stateOf("job").restarts).toMatchObject({ phase: "running", crashes: [], failures: 0 });
});

it("the state of a program is reset when its settings change; a damaged file is reported", async () => {
  const rig = new SupervisorRig(one);
  await rig.begin();
  await rig.end(0);
  const known = (file: string): string =>
    rig.state.stateFor("job", { kind: "worker", args: ["--config", file] }, 0).restarts.phase;
  expect([known("a.yaml"), known("b.yaml")]).toEqual(["finished", "due"]);
  const path = join(rig.runtime.paths.home, "supervisor", "state.json");
  for (const text of ["{", '{"programs": 5}', ""]) {
    writeFileSync(path, text);
    expect(SupervisorState.open(rig.runtime.paths.home)).toMatchObject({
      error: { code: "state_damaged", message: expect.stringContaining(`${path} is damaged`) },
    });
  }
});

it("a program that cannot be started has crashed, and the reason is reported", async () => {
  const rig = new SupervisorRig(one);
  await rig.begin();
  rig.runs[0]?.cannotStart("there is no program node");
  await rig.pass(1);
  await rig.until(() => rig.emitted("ended").length > 0);
  expect(rig.emitted("ended").at(-1)?.reason).toBe("it cannot be started: there is no program node");
});

/** A file stands where the supervisor's folder should be. */
function breakFolder({ runtime }: SupervisorRig): string {
  const folder = join(runtime.paths.home, "supervisor");
  rmSync(folder, { recursive: true });
  writeFileSync(folder, "");
  return folder;
}

it("a state that cannot be written now is tried again, and the others continue", async () => {
  const rig = new SupervisorRig({ watch: { job, other: { kind: "worker", args: ["--other"] } } });
  await rig.begin();
  const folder = breakFolder(rig);
  rig.runs[0]?.end(137);
  await rig.until(() => rig.emitted("problem").length > 0);
  expect(rig.emitted("problem")).toEqual([
    { type: "problem", name: "job", message: expect.stringMatching(/EEXIST|ENOTDIR/) },
  ]);
  await rig.pass(29_000);
  rmSync(folder);
  expect(rig.runs).toHaveLength(2);
  await rig.pass(2_000);
  expect(rig.runs.map(({ program }) => program.args[2])).toEqual(["--config", "--other", "--config"]);
  expect(rig.stateOf("job").restarts.phase).toBe("running");
});

it("what has finished is not begun again because that could not be written down", async () => {
  const rig = new SupervisorRig(one);
  await rig.begin();
  const folder = breakFolder(rig);
  rig.runs[0]?.end(0);
  await rig.until(() => rig.emitted("problem").length === 1);
  await rig.pass(100_000);
  rmSync(folder);
  await rig.pass(100_000);
  expect([rig.runs.length, rig.stateOf("job").restarts.phase]).toEqual([1, "finished"]);
});

it("a store that cannot be read is reported once, and the chats are checked again", async () => {
  const rig = new SupervisorRig({ watch: { chats: { kind: "sessions" } } });
  rig.runtime.store.write(() => undefined);
  await rig.begin();
  // Another program brings a schema that this one cannot read, and takes it back.
  const other = openBetterSqlite3({ path: rig.runtime.paths.database, readOnly: false, busyMs: 0 });
  const spoil = (): void => {
    other.run("INSERT INTO migrations VALUES (999, 'later', 999, 1)");
    rig.stored();
  };
  spoil();
  await rig.pass(20_000);
  const problem = { type: "problem", name: null, message: expect.stringMatching(/newer/) };
  expect(rig.emitted("problem")).toEqual([problem]);
  other.run("DELETE FROM migrations WHERE id = 999");
  await rig.pass(2_000);
  spoil();
  await rig.pass(2_000);
  expect(rig.emitted("problem")).toEqual([problem, problem]);
  other.close();
});

it("it ends when it uses more memory than it may, in good order", async () => {
  const rig = new SupervisorRig(one);
  await rig.begin();
  rig.runtime.processes.use(1, 256 * 1_048_576);
  await rig.pass(2_000);
  expect(rig.emitted("ending")).toEqual([]);
  rig.runtime.processes.use(1, 256 * 1_048_576 + 1);
  await rig.pass(2_000);
  expect(await rig.over()).toBe("memory");
  expect(rig.emitted("ending")).toEqual([{ type: "ending", reason: "it uses more than 256 MB" }]);
  expect(rig.stateOf("job").restarts.phase).toBe("due");
});

it("output is printed line by line, without its secrets", async () => {
  const rig = new SupervisorRig(one);
  await rig.begin();
  const token = `ghp_${"a1B2".repeat(9)}`;
  rig.runs[0]?.program.onLine(`using ${token}`);
  rig.runs[0]?.program.onStderr(`bad ${token}\n`);
  expect(rig.emitted("output").map(({ text }) => text)).toEqual([
    expect.stringMatching(/^using \[redacted:/),
    expect.stringMatching(/^bad \[redacted:[^\n]*$/),
  ]);
});
