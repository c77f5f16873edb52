import { join } from "node:path";
import { expect, it } from "vitest";
import { weekOf } from "#src/learning/experiments/weekly-report.ts";
import { claimReview } from "#src/machine/learning/review-schedule.ts";
import { dismiss } from "#src/machine/recovery/marks.ts";
import { weeklyFacts, pastSessions, readTeam } from "#src/machine/learning/past-sessions.ts";
import { anotherClaude, aProject, Claude, aChat } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import type { ReplaySession } from "#src/contract/replay.ts";
import type { OperationName } from "#src/contract/operations.ts";
import type { Workspace } from "#src/machine/operations/operation-context.ts";
import { err } from "#src/shared/result.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { ask, given } from "#harness/coordinator/state-calls.ts";

it("one process a day gets the review, and none on the first day", () => {
  const runtime = tempRuntime();
  const claim = (): boolean => runtime.store.write((sql) => claimReview(sql, runtime.now()));
  expect([claim(), claim()]).toEqual([false, false]);
  runtime.wait(86_400_001);
  const other = tempRuntime({ beside: runtime });
  expect([claim(), other.store.write((sql) => claimReview(sql, other.now()))]).toEqual([true, false]);
  runtime.wait(86_400_001);
  expect(claim()).toBe(true);
});

it("a week's figures of recoveries add up: each dead chat once, by its resolution, and only who continued it counts as a continued chat", () => {
  const runtime = tempRuntime();
  const dead = ["one", "two", "three", "four"].map((name, n) => {
    const chat = new Claude(runtime, { cwd: aProject(), session: `${name}-session`, pid: 3_000 + n });
    chat.start();
    chat.write(join(chat.cwd, "parser.ts"), name);
    chat.stop();
    chat.prompt(`and the ${name} test`);
    chat.kill();
    return chat;
  });
  const next = dead.slice(0, 3).map((one, n) => {
    const chat = anotherClaude(runtime, one, { session: `next-${n}`, pid: 4_000 + n });
    chat.start();
    chat.turn("what is this file?");
    return chat;
  });
  const [continued] = next;
  continued?.write(join(continued.cwd, "parser.ts"), "continued");
  continued?.stop();
  for (const { session } of dead.slice(2)) dismiss(runtime, session);
  expect(runtime.store.read((sql) => weeklyFacts(sql, weekOf(runtime.now())), null)).toMatchObject({
    died: { chats: 4, deaths: 4, continued: 1, resumed: 0, dismissed: 2, open: 1, offered: 3, offeredTo: 3 },
  });
});

function recorded(runtime: TempRuntime): ReplaySession[] {
  const past = runtime.store.read((sql) => pastSessions(sql, { since: 0, limit: 1_000 }), []);
  return past.map(({ session }) => session);
}

it("events have the order, the kinds and the durations of the journal; a death has its cause", () => {
  const { runtime, claude } = aChat();
  claude.start();
  claude.prompt("Write the parser");
  claude.write(join(claude.cwd, "parser.ts"), "export {};");
  claude.fail("Bash", { command: "npm test" }, "exit 1");
  claude.kill();
  runtime.wait(60_000);
  new Claude(runtime, { cwd: claude.cwd, pid: 2_000, session: "30487890-04b4-4fe0-bbd5-6aa531354563" }).start();
  const [dead] = recorded(runtime);
  expect(dead?.events.map(({ kind }) => kind)).toEqual(["other", "prompt", "other", "tool_end", "other", "tool_error"]);
  expect(dead?.events[3]).toMatchObject({ tool: "Write", durationMs: 12 });
  expect(dead?.events[5]).toMatchObject({ tool: "Bash", durationMs: 9 });
  expect(dead).toMatchObject({ end: { kind: "died", cause: "killed" }, isComplete: true });
});

/** As a command of an admin has it; without the operations that its token may not ask. */
function linkTo(host: RuleHost, forbidden: readonly OperationName[] = []): Pick<Workspace, "call"> {
  const call = async (name: never, input: never) =>
    forbidden.includes(name)
      ? err({ code: "forbidden", message: "the scope is too small" })
      : host.call(name, input, admin);
  return { call: call as unknown as Workspace["call"] };
}

const chat = { chat: "c1", session: "s1", process: "p1", machine: "m1", client: "claude-code" };

it("a team is read with the rights of an observer", async () => {
  const host = new LocalHost(openBetterSqlite3);
  await ask(host, "chats.register", { ...chat, capacity: 2, taskTypes: ["*"] });
  await ask(host, "tasks.submit", { tasks: [{ type: "build", capabilities: ["gpu"] }, { type: "test" }] });
  const team = given(await readTeam(linkTo(host, ["audit.list"]), host.now()));
  expect(team).toMatchObject({ models: [], chats: [{ capacity: 2, tasks: 0 }] });
  expect(team.taskTypes.find(({ type }) => type === "build")).toEqual({ type: "build", tasks: [], runP95Ms: null });
});
