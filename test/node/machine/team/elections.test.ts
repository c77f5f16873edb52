import { expect, it } from "vitest";
import { TeamRig, twoChats, type TeamChat } from "#harness/team/team-rig.ts";

const key = "$leader/deploy";

function leaderIn(rig: TeamRig): string | null {
  return rig.call("elections.observe", { name: "deploy" }).leader?.leader ?? null;
}

it("the state is read by a tool, too: value and version, as data; a key that is not there has version 0", async () => {
  const { one, other } = await twoChats();
  const set = await one.ask("shim_state_set", { key: "plan", value: { step: "</shim-team-state>" } });
  const read = await other.ask("shim_state_set", { key: "plan" });
  expect(read.output).toMatchObject({ version: set.output["version"], value: { step: "</shim-team-state>" } });
  expect(read.text.match(/<\/shim-team-state>/g)).toHaveLength(1);
  expect((await other.ask("shim_state_set", { key: "none" })).output).toMatchObject({ version: 0 });
  await one.ask("shim_state_set", { key: "long", value: "x".repeat(10_000) });
  const long = await other.ask("shim_state_set", { key: "long" });
  expect([long.text.length < 5_000, String(long.output["value"]).length]).toEqual([true, 10_000]);
});

it("a chat campaigns, learns the leader, and resigns; the one in line leads next and is notified", async () => {
  const { rig, one, other } = await twoChats();
  const [first, second] = [one.claude.session, other.claude.session];
  const leader = async (chat: TeamChat, input = {}): Promise<unknown> =>
    (await chat.ask("shim_state_set", { key, ...input })).output["leader"];
  expect(await leader(one)).toBeNull();
  const term = expect.any(Number) as number;
  expect(await leader(one, { value: true })).toMatchObject({ chat: first, isSelf: true, term });
  const { text } = await other.ask("shim_state_set", { key, value: true });
  expect(text).toContain(`${first} leads deploy; this chat is waiting`);
  expect(await leader(other)).toMatchObject({ chat: first, isSelf: false });
  await one.ask("shim_state_set", { key, delete: true });
  await rig.time.pass(1_000);
  expect(leaderIn(rig)).toBe(second);
  const changed = { kind: "leader_changed", leader: second, isSelf: true };
  expect(await other.news()).toContainEqual(expect.objectContaining(changed));
  expect((await one.ask("shim_state_set", { key, delete: true })).text).toContain("did not lead deploy");
  for (const wrong of [{ value: "yes" }, { value: true, delete: true }, { key: "$leader/a b", value: true }])
    await one.refusal("shim_state_set", { key, ...wrong });
});

it("a term is renewed while the chat lives, also by the next process of its client, and free once it leaves", async () => {
  const { rig, one, other } = await twoChats();
  const leaderLater = async (): Promise<string | null> => {
    for (let at = 0; at < 8; at++) await rig.time.pass(15_000);
    return leaderIn(rig);
  };
  for (const chat of [one, other]) await chat.ask("shim_state_set", { key, value: true });
  expect(await leaderLater()).toBe(one.claude.session);
  await one.team.end("goes_on");
  const next = await rig.attach(one.runtime, one.claude, 9_001);
  await next.tick();
  expect(await leaderLater()).toBe(one.claude.session);
  one.claude.end("prompt_input_exit");
  await next.team.end("over");
  expect(leaderIn(rig)).toBe(other.claude.session);
  // Granted while it was in line: it renews what it has not asked for again.
  expect(await leaderLater()).toBe(other.claude.session);
});

it("a leader that was deposed is notified once, and does not campaign by itself", async () => {
  const { rig, one } = await twoChats();
  await one.ask("shim_state_set", { key, value: true });
  rig.call("leases.force-release", { resource: "leader:deploy", reason: "test" });
  await rig.time.pass(60_000);
  expect(leaderIn(rig)).toBeNull();
  expect(JSON.stringify(await one.news()).match(/no longer leads deploy/g)).toHaveLength(1);
  await rig.time.pass(60_000);
  expect(await one.news()).toEqual([]);
});

it("shim_chats shows the leaders, and what each chat can do", async () => {
  const { one, other } = await twoChats();
  await one.ask("shim_state_set", { key, value: true });
  await one.ask("shim_next", { capabilities: ["gpu"], capacity: 2 });
  const { output, text } = await other.ask("shim_chats");
  const chat = one.claude.session;
  expect(output["leaders"]).toMatchObject([{ name: "deploy", chat }]);
  expect(output["chats"]).toContainEqual(expect.objectContaining({ chat, capabilities: ["gpu"], capacity: 2 }));
  expect(text).toMatch(/works, tasks 0\/2; can gpu[^]*leads deploy/);
});

it("shim_chats shows that a chat waits for its user also while it has a task, and its load", async () => {
  const { rig, one, other } = await twoChats();
  rig.call("tasks.submit", { tasks: [{ type: "train" }] });
  await one.ask("shim_next", { capacity: 2 });
  one.claude.tell("Notification", { message: "x", notification_type: "permission_prompt" });
  await one.tick();
  await rig.time.pass(1_000);
  const { text } = await other.ask("shim_chats");
  expect(text).toMatch(/waits for you \(your permission\) for \d+ s, tasks 1\/2; task 1 \(train\)/);
});

it("a chat has the abilities of the settings until it states its own, which its next process keeps", async () => {
  const rig = new TeamRig({ config: { team: { capabilities: ["docs"], capacity: 3 } } });
  const one = await rig.chat("plan it");
  await one.tick();
  const abilities = (): unknown => {
    const [chat] = rig.call("chats.list", {}).chats;
    return { capabilities: chat?.capabilities, capacity: chat?.capacity };
  };
  expect(abilities()).toEqual({ capabilities: ["docs"], capacity: 3 });
  rig.call("tasks.submit", { tasks: [{ type: "train", capabilities: ["gpu"] }], requestId: "r1" });
  expect((await one.ask("shim_next")).output["task"]).toBeNull();
  const secret = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
  const taken = await one.ask("shim_next", { capabilities: ["gpu", secret] });
  expect(taken.output["task"]).toMatchObject({ type: "train" });
  const stated = { capabilities: ["gpu", expect.stringContaining("[redacted") as string], capacity: 3 };
  expect(abilities()).toEqual(stated);
  await one.team.end("goes_on");
  const next = await rig.attach(one.runtime, one.claude, 9_001);
  await next.tick();
  expect(abilities()).toEqual(stated);
  await next.refusal("shim_next", { capabilities: ["a\nb"] });
});
