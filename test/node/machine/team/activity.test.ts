import { stateText } from "#src/contract/chat-state.ts";
import { expect, it } from "vitest";
import { toSessionView } from "#src/machine/operations/session-view.ts";
import { activityOf, keepsTasks, type ActivityFacts } from "#src/machine/sessions/activity.ts";
import { refresh } from "#src/machine/signals/observe.ts";
import { Claude, storedSession, aChat } from "#harness/machine/claude.ts";
import { T0, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { twoChats } from "#harness/team/team-rig.ts";

const minuteMs = 60_000;

/** Of a chat in a turn, minutes after a sign of work. */
function after(minutes: number, overrides: Partial<ActivityFacts> = {}): ActivityFacts {
  const facts = { isDead: false, isWaitingForUser: false, isInTurn: true, openTools: [], workedAt: T0 };
  return { ...facts, now: T0 + minutes * minuteMs, ...overrides };
}

const build = [{ name: "Bash", startedAt: T0 }];

it.each<[string, number, Partial<ActivityFacts>]>([
  ["busy", 0, {}],
  ["busy", 14, {}],
  ["stuck", 15, {}],
  ["stuck", 600, {}],
  ["busy", 40, { openTools: build }],
  ["busy", 119, { openTools: build }],
  ["stuck", 121, { openTools: build }],
])("a chat is %s after %i silent minutes of a turn with %j", (activity, minutes, overrides) => {
  expect(activityOf(after(minutes, overrides))).toBe(activity);
});

it.each<[string, number, Partial<ActivityFacts>]>([
  ["waiting", 300, { openTools: [{ name: "AskUserQuestion", startedAt: T0 }] }],
  ["waiting", 300, { isWaitingForUser: true }],
  ["idle", 300, { isInTurn: false }],
])("a chat is %s after %i minutes with %j", (activity, minutes, overrides) => {
  expect(activityOf(after(minutes, overrides))).toBe(activity);
});

it("a client without hooks is busy for fifteen minutes after a call, and then idle", () => {
  expect([14, 16].map((minutes) => activityOf(after(minutes, { isInTurn: null })))).toEqual(["busy", "idle"]);
});

/** The last minute at which its tasks are kept. */
function until(overrides: Partial<ActivityFacts>): number {
  return Array.from({ length: 150 }, (_, minutes) => minutes).findLast((at) => keepsTasks(after(at, overrides))) ?? -1;
}

it.each<[number, Partial<ActivityFacts>]>([
  [119, { openTools: build }],
  [59, { isWaitingForUser: true }],
  [14, { isInTurn: false }],
  [29, { isInTurn: null }],
  [14, {}],
  [-1, { isDead: true }],
])("tasks are kept until minute %i of a chat with %j", (minute, overrides) => {
  expect(until(overrides)).toBe(minute);
});

it("a chat whose model hangs loses its task, though its process lives @night", async () => {
  const { rig, one, other } = await twoChats();
  await one.ask("shim_submit", { tasks: [{ type: "a" }] });
  await one.ask("shim_next");
  await rig.time.pass(10 * minuteMs);
  expect(rig.call("tasks.get", { task: 1 })).toMatchObject({ state: "running", stalls: 0 });
  await rig.time.pass(10 * minuteMs);
  expect(await other.ask("shim_next")).toMatchObject({ output: { task: { task: 1, isNew: true } } });
  expect(rig.call("chats.list", {}).chats).toContainEqual(
    expect.objectContaining({ chat: one.claude.session, status: "stuck" }),
  );
});

it("a build of forty minutes keeps the task, and so do signs of work that keep coming @night", async () => {
  const { rig, one } = await twoChats();
  await one.ask("shim_submit", { tasks: [{ type: "a" }] });
  await one.ask("shim_next");
  one.claude.begin("Bash", { command: "make" });
  await rig.time.pass(40 * minuteMs);
  expect(rig.call("tasks.get", { task: 1 })).toMatchObject({ state: "running", stalls: 0 });
});

it("the workspace learns whether a chat works, hangs, or waits for its user", async () => {
  const { rig, one } = await twoChats();
  const told = (): unknown => rig.call("chats.list", {}).chats.find(({ chat }) => chat === one.claude.session);
  one.claude.begin("AskUserQuestion", { questions: [] });
  await rig.time.pass(20_000);
  expect(told()).toMatchObject({ status: "busy", progress: "waits for its user: an answer" });
  one.claude.stop();
  await rig.time.pass(20_000);
  expect(told()).toMatchObject({ status: "idle", progress: "" });
});

function shown(runtime: TempRuntime, { session }: Claude): string | null {
  const stored = storedSession(runtime, session);
  return runtime.store.read((sql) => stateText(toSessionView(sql, runtime, stored)), null);
}

it("sessions show what a living chat does: growth of the transcript is work, a notification and the timer's checkpoints are none", () => {
  const { runtime, claude } = aChat();
  claude.start();
  expect(shown(runtime, claude)).toBe("idle");
  claude.prompt("think hard");
  expect(shown(runtime, claude)).toBe("works");
  runtime.wait(14 * minuteMs);
  claude.say("Let me see.");
  refresh(runtime, storedSession(runtime, claude.session), {});
  runtime.wait(14 * minuteMs);
  expect(shown(runtime, claude)).toBe("works");
  claude.tell("Notification", { message: "Claude is waiting for your input", notification_type: "idle_prompt" });
  refresh(runtime, storedSession(runtime, claude.session), {});
  runtime.wait(2 * minuteMs);
  // What the client says counts before what its events show.
  expect(shown(runtime, claude)).toBe("waits for you (your next prompt)");
  claude.stop();
  expect(shown(runtime, claude)).toBe("idle");
  claude.kill();
  expect(shown(runtime, claude)).toBe("died (killed)");
});

it("a tool that a cut-off turn has left open does not run in the next one", () => {
  const { runtime, claude } = aChat();
  claude.prompt("build it");
  claude.begin("Bash", { command: "make" });
  claude.prompt("stop that, think");
  runtime.wait(20 * minuteMs);
  expect(shown(runtime, claude)).toBe("stuck");
});
