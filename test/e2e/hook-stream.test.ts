import { spawn } from "node:child_process";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import { maxEventLineChars } from "#src/contract/hook-stream.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { call, limits, RawStream, session, StreamRig } from "#harness/clients/stream-rig.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { built, envOf, integrityOf, setting } from "#harness/machine/mcp-process.ts";
import { withUpgrade } from "#harness/store/child-task.ts";
import { openStore } from "#harness/store/temp-store.ts";

const kills = setting("SHIM_STREAM_KILLS", 25);
const seed = setting("SHIM_STREAM_SEED", 1);

it("[CA44] each reply follows the commit, a bad line gets its error and ends nothing", async () => {
  const rig = new StreamRig();
  const stream = new RawStream(rig);
  const prompt = (id: number): object => ({
    id,
    event: "UserPromptSubmit",
    payload: rig.payload({ prompt: `part ${id}\u2028of it`, prompt_id: `p${id}` }),
  });
  expect(await stream.ask(prompt(7))).toMatchObject({ id: 7, answer: {} });
  expect(rig.entries()).toMatchObject([{ kind: "prompt", text: expect.stringContaining("part 7") }]);
  const bad: readonly (readonly [string | object, object])[] = [
    ["no json", { id: null, error: "the line is not a JSON object" }],
    ["", { id: null, error: "the line is not a JSON object" }],
    ["[1]", { id: null, error: "the line is not a JSON object" }],
    [
      { id: "a", event: "Stop", payload: {} },
      { id: null, error: "id is not a number from 0 on" },
    ],
    [
      { id: 3, event: "Nothing", payload: {} },
      { id: 3, error: 'event is none of OpenCode: "Nothing"' },
    ],
    [
      { id: 4, event: "Stop", payload: [] },
      { id: 4, error: "payload is not an object" },
    ],
    [
      JSON.stringify({ id: 5, event: "Stop", payload: { text: "x".repeat(maxEventLineChars) } }),
      { id: null, error: `the line has more than ${maxEventLineChars} characters` },
    ],
    // As with a process of its own: the log says why.
    [
      { id: 6, event: "Stop", payload: {} },
      { id: 6, answer: {} },
    ],
  ];
  for (const [line, reply] of bad) expect(await stream.ask(line)).toEqual(reply);
  expect(await stream.ask(prompt(8))).toMatchObject({ id: 8, answer: {} });
  expect(rig.entries()).toHaveLength(2);
  stream.child.stdin?.end(JSON.stringify(prompt(9)));
  expect(await stream.ended).toEqual([0, null]);
  expect(rig.entries()).toHaveLength(3);
});

it(
  `[CA44] kill -9 of the stream at ${kills} random moments: no acknowledged event is lost, none counts twice @night`,
  { timeout: 30_000 + kills * 2_000 },
  async () => {
    const rig = new StreamRig();
    // One that is killed before its first answer is replaced at once, too.
    const program = rig.program({ ...limits, restartMs: 0 });
    const random = seededRandom(seed);
    const over = new AbortController();
    const killing = (async () => {
      for (let killed = 0; killed < kills; await pause(40 * random())) {
        const [pid] = rig.streams();
        if (pid === undefined || random() > 0.1) continue;
        process.kill(pid, "SIGKILL");
        killed += 1;
      }
      over.abort();
    })();
    let calls = 0;
    for (; !over.signal.aborted; calls++) {
      await rig.send(program, "PreToolUse", call(calls));
      await rig.send(program, "PostToolUse", call(calls));
    }
    await killing;
    const ids = rig.entries().flatMap((entry) => (entry.kind === "tool_end" ? [entry.id] : []));
    expect(ids, `seed ${seed}`).toEqual(Array.from({ length: calls }, (_, n) => `call_${n}`));
    expect(rig.entries()).toHaveLength(2 * calls);
    expect(rig.session()?.toolCalls).toBe(calls);
    expect(integrityOf(rig.store)).toEqual(["ok"]);
    const starts = rig.starts();
    const repeated = starts.filter((one) => one !== "stream").length;
    process.stdout.write(`hook stream: ${kills} kills, ${2 * calls} events, ${repeated} of them repeated\n`);
    expect(starts.length - repeated).toBeGreaterThan(kills / 2);
  },
);

it("[CA45] the stream ends when its client was killed, also while a child of the client lives", async () => {
  const rig = new StreamRig();
  const folder = temporaryFolder();
  const script = `import { spawn } from "node:child_process";
    import { HookProgram } from ${JSON.stringify(join(import.meta.dirname, "../../src/clients/hook-program.ts"))};
    const program = new HookProgram([process.execPath, ${JSON.stringify(built.hook)}], "opencode");
    const payload = ${JSON.stringify(rig.payload({ prompt: "begin", prompt_id: "p1" }))};
    await program.send("UserPromptSubmit", payload, console.error);
    spawn("sleep", ["600"], { stdio: "inherit", detached: true });
    setInterval(() => undefined, 1_000);`;
  const args = ["--no-warnings", "--input-type=module-typescript", "-e", script];
  const client = spawn(process.execPath, args, { cwd: folder, env: envOf(rig.paths), stdio: "ignore" });
  const children = await untilFound(() => {
    const found = systemProcesses.facts(client.pid ?? 0) ? rig.streams(client.pid) : [];
    return found.length === 1 && rig.entries().length === 1 ? found : null;
  }, "the stream of the client");
  client.kill("SIGKILL");
  await untilFound(() => children.every((pid) => systemProcesses.facts(pid) === null), "the end of the stream");
});

it("[CA45] a client that is done ends, and its stream with it", async () => {
  const rig = new StreamRig();
  const script = `import { HookProgram } from ${JSON.stringify(join(import.meta.dirname, "../../src/clients/hook-program.ts"))};
    const program = new HookProgram([process.execPath, ${JSON.stringify(built.hook)}], "opencode");
    const working = setInterval(() => undefined, 1_000);
    process.once("SIGUSR2", () => clearInterval(working));
    await program.send("Stop", ${JSON.stringify(rig.payload({}))}, console.error);`;
  const args = ["--no-warnings", "--input-type=module-typescript", "-e", script];
  const client = spawn(process.execPath, args, { env: envOf(rig.paths), stdio: "ignore" });
  const ended = new Promise((resolve) => void client.once("exit", resolve));
  const stream = await untilFound(() => (rig.entries().length === 1 ? rig.streams(client.pid)[0] : null), "the stream");
  client.kill("SIGUSR2");
  expect(await ended).toBe(0);
  expect(rig.entries()).toMatchObject([{ kind: "turn_end" }]);
  await untilFound(() => systemProcesses.facts(stream) === null, "the end of the stream");
});

it("[CA45] a newer SHIM: the process answers with its own code, until the store needs the newer one", async () => {
  const rig = new StreamRig();
  const folder = join(temporaryFolder(), "dist");
  cpSync(dirname(built.hook), folder, { recursive: true });
  const stream = new RawStream(rig, join(folder, "hook.cjs"));
  const stop = (id: number): object => ({
    id,
    event: "Stop",
    payload: rig.payload({ last_assistant_message: `${id}` }),
  });
  expect(await stream.ask(stop(1))).toMatchObject({ id: 1, answer: {} });
  for (const name of ["hook.cjs", "hook-main.cjs"]) writeFileSync(join(folder, name), "not a program");
  expect(await stream.ask(stop(2))).toMatchObject({ id: 2, answer: {} });
  rmSync(folder, { recursive: true });
  expect(await stream.ask(stop(3))).toMatchObject({ id: 3, answer: {} });
  const before = rig.entries();
  const newer = openStore(openNodeSqlite, rig.paths, { migrations: withUpgrade("breaking") });
  newer.write((sql) => sql.run("INSERT INTO extra VALUES ('new')"));
  expect(await stream.ask(stop(4))).toBeNull();
  await stream.ended;
  const query = "SELECT count(*) AS n FROM journal WHERE session_id = ?";
  expect(newer.read((sql) => sql.all(query, session), [])).toEqual([{ n: before.length }]);
});
