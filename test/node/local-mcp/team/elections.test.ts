import { expect, it } from "vitest";
import { TeamRig, twoChats, type TeamChat } from "#harness/team/team-rig.ts";

const key = "$leader/deploy";

function leaderIn(rig: TeamRig): string | null {
  return rig.call("elections.observe", { name: "deploy" }).leader?.leader ?? null;
}

async function newsOf(chat: TeamChat): Promise<unknown> {
  return (await chat.ask("shim_inbox")).output["news"];
}

it("[TE31] the state is read by a tool, too: value and version, as data; a key that is not there has version 0", async () => {
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

it("[TE32] a chat campaigns, learns who leads, and resigns; the one in line leads next and hears of it", async () => {
  const { rig, one, other } = await twoChats();
  const [first, second] = [one.claude.session, other.claude.session];
  expect((await one.ask("shim_state_set", { key })).output).toMatchObject({ leader: null });
  const won = await one.ask("shim_state_set", { key, value: true });
  expect(won.output).toMatchObject({ leader: { chat: first, isSelf: true, term: expect.any(Number) as number } });
  const waits = await other.ask("shim_state_set", { key, value: true });
  expect(waits.text).toContain(`${first} leads deploy; this chat is waiting`);
  expect((await other.ask("shim_state_set", { key })).output).toMatchObject({ leader: { chat: first, isSelf: false } });
  await one.ask("shim_state_set", { key, delete: true });
  await rig.time.pass(1_000);
  expect(leaderIn(rig)).toBe(second);
  expect(await newsOf(other)).toContainEqual(
    expect.objectContaining({ kind: "leader_changed", leader: second, isSelf: true }),
  );
  expect((await one.ask("shim_state_set", { key, delete: true })).text).toContain("did not lead deploy");
  for (const wrong of [{ value: "yes" }, { value: true, delete: true }]) {
    expect(await one.call("shim_state_set", { key, ...wrong })).toMatchObject({ isError: true });
  }
  expect(await one.call("shim_state_set", { key: "$leader/a b", value: true })).toMatchObject({ isError: true });
});

it("[TE32] a term is renewed while the chat lives, also by the next process of its client, and free once it leaves", async () => {
  const { rig, one, other } = await twoChats();
  await one.ask("shim_state_set", { key, value: true });
  await other.ask("shim_state_set", { key, value: true });
  for (let at = 0; at < 8; at++) await rig.time.pass(15_000);
  expect(leaderIn(rig)).toBe(one.claude.session);
  await one.team.end("goes_on");
  const next = await rig.attach(one.runtime, one.claude, 9_001);
  await next.tick();
  for (let at = 0; at < 8; at++) await rig.time.pass(15_000);
  expect(leaderIn(rig)).toBe(one.claude.session);
  one.claude.end("prompt_input_exit");
  await next.team.end("over");
  expect(leaderIn(rig)).toBe(other.claude.session);
  // Granted while it stood in line: it renews what it has not asked for again.
  for (let at = 0; at < 8; at++) await rig.time.pass(15_000);
  expect(leaderIn(rig)).toBe(other.claude.session);
});

it("[TE32] a leader that was deposed is told once, and does not campaign by itself", async () => {
  const { rig, one } = await twoChats();
  await one.ask("shim_state_set", { key, value: true });
  rig.call("leases.force-release", { resource: "leader:deploy", reason: "test" });
  await rig.time.pass(60_000);
  expect(leaderIn(rig)).toBeNull();
  const told = JSON.stringify(await newsOf(one));
  expect(told.match(/no longer leads deploy/g)).toHaveLength(1);
  await rig.time.pass(60_000);
  expect(await newsOf(one)).toEqual([]);
});

it("[TE33] shim_chats shows who leads, and what each chat can do", async () => {
  const { one, other } = await twoChats();
  await one.ask("shim_state_set", { key, value: true });
  await one.ask("shim_next", { capabilities: ["gpu"], capacity: 2 });
  const { output, text } = await other.ask("shim_chats");
  const chat = one.claude.session;
  expect(output["leaders"]).toMatchObject([{ name: "deploy", chat }]);
  expect(output["chats"]).toContainEqual(expect.objectContaining({ chat, capabilities: ["gpu"], capacity: 2 }));
  expect(text).toMatch(/can gpu[^]*leads deploy/);
});

it("[TE34] a chat has the abilities of the settings until it states its own, which its next process keeps", async () => {
  const rig = new TeamRig({ config: { team: { capabilities: ["docs"], capacity: 3 } } });
  const one = await rig.chat("plan it");
  await one.tick();
  const abilities = () => {
    const [chat] = rig.call("chats.list", {}).chats;
    return [chat?.capabilities, chat?.capacity];
  };
  expect(abilities()).toEqual([["docs"], 3]);
  rig.call("tasks.submit", { tasks: [{ type: "train", capabilities: ["gpu"] }], requestId: "r1" });
  expect((await one.ask("shim_next")).output["task"]).toBeNull();
  const stated = { capabilities: ["gpu", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"] };
  expect((await one.ask("shim_next", stated)).output["task"]).toMatchObject({ type: "train" });
  expect(abilities()).toEqual([["gpu", expect.stringContaining("[redacted") as string], 3]);
  await one.team.end("goes_on");
  const next = await rig.attach(one.runtime, one.claude, 9_001);
  await next.tick();
  expect(abilities()[0]).toContain("gpu");
  expect(await next.call("shim_next", { capabilities: ["a\nb"] })).toMatchObject({ isError: true });
});
