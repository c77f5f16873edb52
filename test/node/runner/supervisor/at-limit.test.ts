import { expect, it } from "vitest";
import { timeline } from "#src/machine/operations/session-view.ts";
import { dueNotifications } from "#src/local-mcp/notify/due-notifications.ts";
import { readContent } from "#src/machine/sessions/session-content.ts";
import { pause, resume } from "#src/store/pause.ts";
import { usageMessages } from "#src/store/usage-tables.ts";
import {
  aRig,
  codexId,
  codexWorks,
  limitIt,
  live,
  passToRun,
  promptOf,
  valueAfter,
} from "#harness/supervisor/claude-runs.ts";
import { sessionOf } from "#harness/supervisor/live-chats.ts";
import type { SupervisorRig } from "#harness/supervisor/supervisor-rig.ts";

const hourMs = 3_600_000;
const codex = { client: "codex" };

/** What has run, in order: a model named by the rule, or the program. */
function ran(rig: SupervisorRig): string[] {
  return rig.runs.map(({ program: { command, args } }) => (args.includes("haiku") ? "haiku" : command));
}

/** Time passes, and what runs then ends. */
async function passToEnd(rig: SupervisorRig, ms: number): Promise<object | undefined> {
  const before = rig.emitted("ended").length;
  await rig.pass(ms);
  await rig.until(() => rig.emitted("ended").length > before);
  return lastEnd(rig);
}

function lastEnd(rig: SupervisorRig): object | undefined {
  return rig.emitted("ended").at(-1);
}

/** A response of Codex as its transcript reports it. */
function codexUses(rig: SupervisorRig, tokens: number, model = "gpt-x"): void {
  rig.runtime.store.write((sql) => {
    const counts = { input: tokens, output: 0, cacheRead: 0, cacheWrite: 0 };
    const at = rig.runtime.now();
    const day = new Date(at).toISOString().slice(0, 10);
    const row = { key: `m${tokens}`, session: codexId, at, day, model, isSubagent: false, ...counts };
    usageMessages.insert(sql, row);
  });
}

const reached = "Claude Code has reached its usage limit: You've hit your limit";

it("without a rule, and with `off`, nothing goes on by itself after a usage limit", async () => {
  for (const order of [null, "off"] as const) {
    const rig = await aRig(order);
    live(rig);
    await limitIt(rig, hourMs);
    const reason = `${reached}; no rule of this folder (\`atLimit\`) says to go on`;
    expect(lastEnd(rig)).toMatchObject({ phase: "stopped", reason });
    await rig.pass(2 * hourMs);
    expect(rig.runs).toHaveLength(1);
    rig.state.requestRestart("fix");
    await passToRun(rig, 3_000, 2);
    expect(ran(rig)).toEqual(["claude", "claude"]);
  }
});

it("with `wait` Claude Code starts again when the limit ends, and in no other way before", async () => {
  const rig = await aRig(["wait"]);
  live(rig);
  await limitIt(rig, hourMs);
  expect(lastEnd(rig)).toMatchObject({ phase: "due", reason: reached });
  await rig.pass(hourMs - 10_000);
  expect(rig.runs).toHaveLength(1);
  await passToRun(rig, 20_000, 2);
  expect(ran(rig)).toEqual(["claude", "claude"]);
});

it("another model goes on in a new session with the brief, and the usual one takes over after the limit", async () => {
  const rig = await aRig([{ model: "haiku" }, "wait"]);
  const first = live(rig);
  await limitIt(rig, hourMs);
  const { args } = rig.runs[1]!.program;
  expect(args.filter((arg) => arg === "--model")).toHaveLength(1);
  expect(valueAfter(rig, "--model")).toBe("haiku");
  expect(promptOf(rig, 1)).toContain("make the parser");
  const second = live(rig);
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recoveryBy: second });
  await limitIt(rig, hourMs);
  await passToRun(rig, hourMs + 10_000, 3);
  expect(ran(rig)).toEqual(["claude", "haiku", "claude"]);
  // Begun by another model, so it is not resumed.
  expect([valueAfter(rig, "--resume"), valueAfter(rig, "--model")]).toEqual([undefined, "opus"]);
});

it("the ceiling of hours ends what the rule does, and what it would wait for", async () => {
  const running = await aRig([codex], { rule: { mostHours: 1 } });
  live(running);
  await limitIt(running, 10 * hourMs);
  await running.pass(1_000);
  codexWorks(running);
  await running.pass(hourMs - 10_000);
  expect(running.emitted("ended")).toEqual([]);
  const reason = expect.stringContaining("; the rule of this folder goes on for at most 1 h after the limit") as string;
  expect(await passToEnd(running, 20_000)).toMatchObject({ phase: "stopped", reason });
  const waiting = await aRig(["wait"], { rule: { mostHours: 1 } });
  live(waiting);
  await limitIt(waiting, 2 * hourMs);
  expect(lastEnd(waiting)).toMatchObject({ phase: "stopped", reason });
});

it("the ceiling of money counts what the rule's chats have used, and ends them", async () => {
  const prices = { "gpt-x": { input: 10, output: 10, cacheRead: 1, cacheWrite: 1 } };
  const rig = await aRig([codex], { rule: { mostUsd: 5 }, config: { usage: { prices } } });
  live(rig);
  await limitIt(rig, 10 * hourMs);
  await rig.pass(1_000);
  codexWorks(rig);
  codexUses(rig, 400_000);
  await rig.pass(3_000);
  expect(rig.emitted("ended")).toEqual([]);
  codexUses(rig, 200_000);
  expect(await passToEnd(rig, 3_000)).toMatchObject({
    phase: "stopped",
    reason: expect.stringContaining("allows at most 5.00 USD, and 6.00 USD were spent") as string,
  });
  await rig.pass(12 * hourMs);
  expect(rig.runs).toHaveLength(2);
});

it("usage without a price counts as the ceiling", async () => {
  const rig = await aRig([codex], { rule: { mostUsd: 5 } });
  live(rig);
  await limitIt(rig, hourMs);
  await rig.pass(1_000);
  codexWorks(rig);
  await rig.pass(3_000);
  expect(rig.emitted("ended")).toEqual([]);
  codexUses(rig, 1);
  expect(await passToEnd(rig, 3_000)).toMatchObject({
    phase: "stopped",
    reason: expect.stringContaining("at most 5.00 USD, and 1 token has no price (`usage.prices`)") as string,
  });
});

it("Enter stops what the rule has started, and what it waits for", async () => {
  const running = await aRig([codex]);
  const id = live(running);
  await limitIt(running, hourMs);
  await running.pass(1_000);
  codexWorks(running);
  running.stoppedAt = running.runtime.now();
  const reason = expect.stringContaining("you stopped the rule for usage limits") as string;
  const stopped = { phase: "stopped", reason };
  expect(await passToEnd(running, 3_000)).toMatchObject(stopped);
  expect(sessionOf(running.runtime, id)).toMatchObject({ recoveryBy: codexId });
  const waiting = await aRig(["wait"]);
  live(waiting);
  await limitIt(waiting, hourMs);
  waiting.stoppedAt = waiting.runtime.now();
  expect(await passToEnd(waiting, 3_000)).toMatchObject(stopped);
  await waiting.pass(2 * hourMs);
  expect([running.runs.length, waiting.runs.length]).toEqual([2, 1]);
});

it("a pause stops what the rule has started, and nothing starts when it is over", async () => {
  const rig = await aRig([codex]);
  live(rig);
  await limitIt(rig, hourMs);
  await rig.pass(1_000);
  codexWorks(rig);
  rig.runtime.store.write((sql) => pause(sql, rig.runtime.now(), null, null));
  expect(await passToEnd(rig, 3_000)).toMatchObject({
    phase: "stopped",
    reason: expect.stringContaining("`shim pause` stopped the rule of this folder") as string,
  });
  rig.runtime.store.write((sql) => resume(sql, rig.runtime.now(), null));
  await rig.pass(2 * hourMs);
  expect(rig.runs).toHaveLength(2);
});

it("a supervisor that dies in a hand-over leaves one successor: the next continues that one, or begins it", async () => {
  // After the hand-over, before Codex began.
  const early = await aRig([codex]);
  const first = live(early);
  await limitIt(early, hourMs);
  await early.pass(1_000);
  early.runtime.processes.kill(502);
  const afterEarly = await aRig([codex], { after: early });
  await passToRun(afterEarly, 0, 1);
  expect(ran(afterEarly)).toEqual(["codex"]);
  expect(promptOf(afterEarly, 0)).toContain(first);
  // While Codex worked.
  const late = await aRig([codex]);
  const source = live(late);
  await limitIt(late, hourMs);
  await late.pass(1_000);
  codexWorks(late, "Codex has fixed the lexer.");
  late.runtime.processes.kill(502);
  const afterLate = await aRig([codex], { after: late });
  await passToRun(afterLate, 0, 1);
  expect(ran(afterLate)).toEqual(["codex"]);
  expect(promptOf(afterLate, 0)).toContain("Codex has fixed the lexer.");
  expect(sessionOf(late.runtime, source)).toMatchObject({ recoveryBy: codexId });
});

it("a successor that still lives is waited for", async () => {
  const rig = await aRig([codex]);
  live(rig);
  await limitIt(rig, hourMs);
  await rig.pass(1_000);
  codexWorks(rig);
  const next = await aRig([codex], { after: rig });
  expect(next.runs).toEqual([]);
  expect(next.emitted("held")).toMatchObject([{ reason: `session ${codexId} is already running (pid 502)` }]);
});

it("a hand-over is in the timeline of both sessions and in a notification, with reason and cost", async () => {
  const rig = await aRig([codex]);
  const first = live(rig);
  await limitIt(rig, hourMs);
  await rig.pass(1_000);
  codexWorks(rig);
  const { store } = rig.runtime;
  const linesOf = (id: string): string[] =>
    store.read((sql) => timeline(readContent(sql, id)).map(({ text }) => text), []);
  const why = "Codex, because a usage limit was reached; 0.00 USD spent for this limit so far";
  expect(linesOf(first)).toContainEqual(`taken by session ${codexId}: ${why}`);
  expect(linesOf(codexId)).toContainEqual(`continues session ${first} of Claude Code: ${why}`);
  const texts = store.read((sql) => dueNotifications(sql, rig.runtime).map(({ text }) => text), []);
  expect(texts).toContainEqual(
    expect.stringContaining(
      "reached a usage limit; Codex continues by your rule (0.00 USD spent for this limit so far)",
    ),
  );
});
