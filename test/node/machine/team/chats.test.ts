import * as sessions from "#src/machine/sessions/sessions.ts";
import { stateText } from "#src/contract/chat-state.ts";
import { expect, it } from "vitest";
import { toSessionView } from "#src/machine/operations/session-view.ts";
import { activityOf, keepsTasks, type ActivityFacts } from "#src/machine/sessions/activity.ts";
import { refresh } from "#src/machine/signals/observe.ts";
import { Claude, storedSession, aChat } from "#harness/machine/claude.ts";
import { T0, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { twoChats, TeamRig, type TeamChat as RigChat } from "#harness/team/team-rig.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { openTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { platformOf } from "#harness/edge/edge-clients.ts";
import { edgeUrl, token } from "#harness/edge/fake-edge.ts";
import { connect, type ConnectOptions } from "#harness/machine/mcp-client.ts";

const minuteMs = 60_000;

/** Of a chat in a turn, minutes after a sign of work. */
function after(minutes: number, overrides: Partial<ActivityFacts> = {}): ActivityFacts {
  const facts = { isDead: false, isWaitingForUser: false, isInTurn: true, openTools: [], workedAt: T0 };
  return { ...facts, now: T0 + minutes * minuteMs, ...overrides };
}

const build = [{ name: "Bash", startedAt: T0 }];

it.each<[string, number, Partial<ActivityFacts>]>([
  ["busy", 14, {}],
  ["stuck", 15, {}],
  ["busy", 119, { openTools: build }],
  ["stuck", 121, { openTools: build }],
  ["waiting", 300, { openTools: [{ name: "AskUserQuestion", startedAt: T0 }] }],
  ["waiting", 300, { isWaitingForUser: true }],
  ["idle", 300, { isInTurn: false }],
  // A client without hooks.
  ["busy", 14, { isInTurn: null }],
  ["idle", 16, { isInTurn: null }],
])("a chat is %s after %i silent minutes with %j", (activity, minutes, overrides) => {
  expect(activityOf(after(minutes, overrides))).toBe(activity);
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

it("the workspace learns whether a chat works, hangs, or waits for its user", async () => {
  const { rig, one } = await twoChats();
  const reported = (): unknown => rig.call("chats.list", {}).chats.find(({ chat }) => chat === one.claude.session);
  one.claude.begin("AskUserQuestion", { questions: [] });
  await rig.time.pass(20_000);
  expect(reported()).toMatchObject({ status: "busy", progress: "waits for its user: an answer" });
  one.claude.stop();
  await rig.time.pass(20_000);
  expect(reported()).toMatchObject({ status: "idle", progress: "" });
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

/** Two chats of Claude Code at an edge. */
async function atEdge(): Promise<{ rig: TeamRig; one: RigChat; other: RigChat }> {
  const rig = new TeamRig();
  writeEdgeConfig(rig.base.paths.home, { url: edgeUrl, workspace: "w1", machine: "m1", token });
  const [one, other] = [await rig.chat("plan it"), await rig.chat("build it")];
  for (const chat of [one, other]) await rig.time.until(chat.tick());
  return { rig, one, other };
}

/** As the coordinator has it. */
async function stateAt(rig: TeamRig, chat: string): Promise<string> {
  const { status, reason } = given(await rig.edge.host.call("chats.get", { chat }));
  return status === "offline" ? `offline: ${reason}` : "alive";
}

it("a chat of a client without session ids is attested dead with its server, whether its client lives or not", async () => {
  for (const ending of ["client_gone", "server_gone"] as const) {
    const { rig } = await atEdge();
    const platform = platformOf(rig.edge, rig.machine, 501);
    const team: ConnectOptions["team"] = (client, server) => openTeam(rig.base, server, () => client, platform);
    const plain = await connect(rig.base, { serverPid: 500, clientPid: 600, name: "claude-ai", team });
    await rig.time.until(plain.ask("shim_force_checkpoint", { goal: "one" }));
    const id = plain.chat.current() ?? "";
    await rig.time.until(plain.chat.team?.follow(id) ?? Promise.resolve());
    expect(await stateAt(rig, id)).toBe("alive");
    await rig.time.until(plain.chat.team?.end(ending) ?? Promise.resolve());
    expect(await stateAt(rig, id)).toBe("offline: attested");
    // The host goes on with a client that lives.
    await rig.time.until(plain.chat.team?.follow(id) ?? Promise.resolve());
    expect(await stateAt(rig, id)).toBe("offline: attested");
  }
});

it("a living chat whose server is gone is kept by its last process, until its client ends", async () => {
  const { rig, one } = await atEdge();
  const { session } = one.claude;
  await rig.time.until(one.team.end("server_gone"));
  await rig.time.pass(600_000);
  expect(await stateAt(rig, session)).toBe("alive");
  one.claude.kill();
  await rig.time.until(one.team.end("client_gone"));
  expect(await stateAt(rig, session)).toBe("offline: attested");
});

it("a living chat whose processes were all killed is kept by another process of the machine", async () => {
  const { rig, one, other } = await atEdge();
  const { session } = one.claude;
  await one.team.end("goes_on");
  for (let times = 0; times < 60; times++) {
    await rig.time.pass(2_000);
    await rig.time.until(watch(other));
  }
  expect(await stateAt(rig, session)).toBe("alive");
});

it("a client that was killed with its server is attested dead within two seconds by one process of the machine", async () => {
  const { rig, one, other } = await atEdge();
  const { session } = one.claude;
  await one.team.end("goes_on");
  await rig.time.pass(2_000);
  await rig.time.until(watch(other));
  expect(await stateAt(rig, session)).toBe("alive");
  one.claude.kill();
  await rig.time.pass(2_000);
  await rig.time.until(watch(other));
  expect(await stateAt(rig, session)).toBe("offline: attested");
  const stored = rig.base.store.read((sql) => sessions.get(sql, session), null);
  expect(stored?.deathAt).not.toBeNull();
});

async function watch({ team }: RigChat): Promise<void> {
  for (const one of team.watches()) await one.checkMembers();
}
