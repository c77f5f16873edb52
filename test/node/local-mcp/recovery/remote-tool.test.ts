import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { TeamChat } from "#src/local-mcp/team/team-chat.ts";
import { takeOver } from "#src/local-mcp/recovery/takeover.ts";
import { Claude, storedSession } from "#harness/machine/claude.ts";
import { connect, type Connected } from "#harness/machine/mcp-client.ts";
import { aRival, aWorld, minute, newsOf, rowOf, type World } from "#harness/sync/recovery-rig.ts";

/** The chat of this machine, with the MCP process that Claude Code starts for it. */
async function open({ here, chat }: Pick<World, "here" | "chat">): Promise<Connected> {
  return connect(here.runtime, { clientPid: chat.pid, serverPid: chat.pid + 500, team: () => here.team() });
}

it("[RE20] the tool lists and briefs on sessions of other machines, with the machine", async () => {
  const one = await aWorld();
  writeFileSync(join(one.chat.cwd, "parser.ts"), "export const parser = 1;\n");
  const { call } = await open(one);
  const { text, output } = await call("shim_check_recovery");
  expect(output["incomplete"]).toEqual([
    {
      session: one.dead.session,
      title: "fix the parser",
      diedMsAgo: expect.any(Number),
      cause: "died",
      project: one.dead.cwd,
      machine: "desk",
    },
  ]);
  expect(text).toContain("on another machine (desk) died 5 min ago");
  expect(text).toContain("- parser.ts (created): the same here");
  expect(output["score"]).toBeGreaterThan(50);
  // It was told: no hook brings it again.
  expect(newsOf(one.here, one.chat.session)).toEqual([]);
});

it("[RE20] a chat on a machine that has mirrored no other yet gets them too, also by id", async () => {
  for (const given of [{}, { of: "dead" }]) {
    const one = await aWorld();
    one.here.runtime.store.write((sql) => sql.run("DELETE FROM remote_sessions"));
    const { call } = await open(one);
    const { text } = await call("shim_check_recovery", "of" in given ? { of: one.dead.session } : {});
    expect(text).toContain("on another machine (desk) died 5 min ago");
  }
});

it("[RE20] one of this machine comes first, and those of others are listed with it", async () => {
  const one = await aWorld();
  const own = new Claude(one.here.runtime, {
    pid: 7_000,
    cwd: one.chat.cwd,
    session: "abab7777-0000-4000-8000-000000000007",
  });
  own.turn("write the docs");
  own.kill();
  const { call } = await open(one);
  const { text, output } = await call("shim_check_recovery");
  expect(text).toContain("write the docs");
  // The one that it is briefed on is on offer by now.
  expect(output["incomplete"]).toMatchObject([{ session: one.dead.session, machine: "desk" }]);
  const named = await call("shim_check_recovery", { of: one.dead.session.slice(0, 8) });
  expect(named.text).toContain("fix the parser");
  expect((await call("shim_check_recovery", { of: "aaa" })).text).toContain("SHIM knows no session");
});

it("[RE92] without an answer of the coordinator this is said, and the local sessions are listed all the same", async () => {
  const one = await aWorld();
  one.world.isCut = () => true;
  const { call } = await open(one);
  const { text, isError } = await call("shim_check_recovery");
  expect(isError).toBe(false);
  expect(text).toContain("No session died unfinished.");
  expect(text).toContain("Sessions of other machines are not included");
  const taken = await call("shim_check_recovery", { of: one.dead.session, take: true });
  expect(taken.isError).toBe(true);
});

it("[RE23] [RE97] take makes it this chat's, for all machines; a second time nothing changes", async () => {
  const one = await aWorld();
  const { call } = await open(one);
  for (const _ of [1, 2])
    expect((await call("shim_check_recovery", { of: one.dead.session, take: true })).isError).toBe(false);
  await one.there.pull();
  expect(rowOf({ here: one.there }, one.dead).taken).toMatchObject({ chat: one.chat.session, machine: "laptop" });
});

it("[RE96] a session that another chat has is refused with who and where; a living or finished one with why", async () => {
  const one = await aWorld({ isDead: false });
  const { call } = await open(one);
  const living = await call("shim_check_recovery", { of: one.dead.session, take: true });
  expect(living).toMatchObject({ isError: true });
  expect(living.text).toContain("is not known to be dead");
  await one.there.attest(one.dead.session);
  const { chat: rival, ...third } = await aRival(one);
  await takeOver(third.reach, rowOf(third, one.dead));
  // Before the mirror tells of it, and after.
  const held = await call("shim_check_recovery", { of: one.dead.session, take: true });
  expect(held.text).toContain(`is continued by chat ${rival.session} on tower`);
  await one.here.pull();
  const taken = await call("shim_check_recovery", { of: one.dead.session, take: true });
  expect(taken.text).toContain(`is continued by chat ${rival.session} on tower`);
  one.dead.end();
  await one.there.mirror(one.dead.session);
  await one.here.pull();
  expect((await call("shim_check_recovery", { of: one.dead.session, take: true })).text).toContain("was finished");
});

it("[RE96] a session of this machine that another one continues cannot be taken here", async () => {
  const one = await aWorld();
  await takeOver(one.reach, rowOf(one, one.dead));
  const fresh = new Claude(one.there.runtime, {
    pid: 3_000,
    cwd: one.dead.cwd,
    session: "eeee5555-0000-4000-8000-000000000005",
  });
  fresh.start();
  const { call } = await open({ here: one.there, chat: fresh });
  const refused = await call("shim_check_recovery", { take: true });
  expect(refused).toMatchObject({ isError: true });
  expect(refused.text).toContain(`is continued by chat ${one.chat.session} on laptop`);
  one.world.isCut = () => true;
  // Leases are never granted offline; what is here can be gone on with.
  expect((await call("shim_check_recovery", { take: true })).isError).toBe(false);
  expect(storedSession(one.there.runtime, one.dead.session)).toMatchObject({
    recovery: "offered",
    recoveryBy: fresh.session,
  });
});

it("[RE24] a chat that joins is offered it by a notification, also where the death becomes known a while later", async () => {
  const one = await aWorld({ isDead: false });
  const team = one.here.team();
  const joined = await team.chatFor(storedSession(one.here.runtime, one.chat.session));
  const member = joined.ok ? joined.value : null;
  expect(member).toBeInstanceOf(TeamChat);
  const look = async (): Promise<void> => {
    await member?.checkOtherMachines();
  };
  await look();
  expect(newsOf(one.here, one.chat.session)).toEqual([]);
  await one.there.attest(one.dead.session);
  await look();
  expect(newsOf(one.here, one.chat.session)).toMatchObject([{ kind: "offer", session: one.dead.session }]);
  expect(JSON.stringify(one.chat.prompt("what was I doing?"))).toContain("on another machine (desk)");
  one.world.wait(minute);
  await look();
  expect(newsOf(one.here, one.chat.session)).toEqual([]);
  await team.end("over");
});
