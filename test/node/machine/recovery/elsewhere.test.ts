import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { anotherClaude, storedSession } from "#harness/machine/claude.ts";
import { type Connected, connect } from "#harness/machine/mcp-client.ts";
import { project } from "#harness/sync/machines.ts";
import { type World, aRival, aWorld, minute, newsOf, rowOf } from "#harness/sync/recovery-rig.ts";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import { brief, composeBrief } from "#src/machine/recovery/brief/brief.ts";
import { recordDeath } from "#src/machine/recovery/incomplete/deaths.ts";
import { findElsewhere } from "#src/machine/recovery/elsewhere/candidates.ts";
import { offerableElsewhere } from "#src/machine/recovery/offers.ts";
import { restoreElsewhere } from "#src/machine/recovery/elsewhere/restoration.ts";
import { takeOver } from "#src/machine/recovery/elsewhere/takeover.ts";
import { TeamChat } from "#src/machine/team/team-chat.ts";
import { expect, it } from "vitest";

/** The brief of the only session that is found on another machine. */
async function briefElsewhere({ reach, here }: World): Promise<string> {
  const [found] = await findElsewhere(reach, project);
  return found ? brief(await restoreElsewhere(reach, found), here.runtime.now(), "brief") : "";
}

it("a session of another machine is found when the coordinator reports its chat as gone, not before", async () => {
  const alive = await aWorld({ isDead: false });
  expect(await findElsewhere(alive.reach, project)).toEqual([]);
  const { reach, dead, there } = await aWorld();
  const [found] = await findElsewhere(reach, project);
  expect(found).toMatchObject({
    row: { id: dead.session, machine: "desk" },
    liveness: { isOver: true, isCertain: true },
  });
  expect(await findElsewhere(reach, "another-project")).toEqual([]);
  expect(await findElsewhere({ ...reach, runtime: there.runtime }, project)).toEqual([]);
});

it("a session without a chat counts as ended after ten silent minutes, and not as certainly dead", async () => {
  const one = await aWorld({ isKnown: false });
  expect(await findElsewhere(one.reach, project)).toEqual([]);
  one.world.wait(6 * minute);
  const [found] = await findElsewhere(one.reach, project);
  expect(found?.liveness).toMatchObject({ isOver: true, isCertain: false });
  const text = await briefElsewhere(one);
  expect(text).toContain("was last heard of 11 min ago (whether it died is not certain)");
  expect(text).toContain("The coordinator knows no chat of it");
});

it("a death that its machine recorded is found at once, with its cause", async () => {
  const { reach, there, here, dead } = await aWorld({ isKnown: false });
  expect(await findElsewhere(reach, project)).toEqual([]);
  there.runtime.store.write((sql) => recordDeath(sql, there.runtime, dead.session));
  await there.mirror(dead.session);
  await here.pull();
  const [found] = await findElsewhere(reach, project);
  const from = found && (await restoreElsewhere(reach, found));
  expect(from).toMatchObject({ cause: "killed", causeDetail: expect.stringContaining("no orderly end was seen") });
});

async function causeOf({ reach }: World, reason: string): Promise<string | null | undefined> {
  const [found] = await findElsewhere(reach, project);
  expect(found?.liveness?.detail).toContain(reason);
  return found && (await restoreElsewhere(reach, found)).cause;
}

it("a client that vanished was killed where its machine attested it, and nothing is known where it only fell silent", async () => {
  expect(await causeOf(await aWorld(), "another SHIM process of its machine")).toBe("killed");
  const silent = await aWorld({ isDead: false });
  silent.world.wait(5 * minute);
  expect(await causeOf(silent, "heard nothing more")).toBe("unknown");
});

it("one that ended, was recovered or dismissed where it ran, or holds nothing, is not found", async () => {
  const { reach, there, dead, here } = await aWorld();
  const isFound = async (change: Parameters<typeof there.mirror>[1] = {}): Promise<boolean> => {
    await there.mirror(dead.session, change);
    await here.pull();
    return (await findElsewhere(reach, project)).length > 0;
  };
  for (const recovery of ["recovered", "dismissed"] as const) expect(await isFound({ recovery })).toBe(false);
  const empty = { checkpoint: null, toolCalls: 0, unsaved: { count: 0, entries: [] } };
  expect(await isFound(empty)).toBe(false);
  dead.end();
  expect(await isFound()).toBe(false);
});

it("whether any number of sessions lives is one question to the coordinator", async () => {
  const { reach, here, there, dead, world } = await aWorld();
  for (const session of ["aaaa1111-0000-4000-8000-000000000008", "aaaa1111-0000-4000-8000-000000000009"]) {
    const other = anotherClaude(there.runtime, dead, { session });
    other.turn("write the docs");
    await there.join(session);
    await there.mirror(session);
    await there.attest(session);
  }
  await here.pull();
  const before = world.asked.length;
  expect(await findElsewhere(reach, project)).toHaveLength(3);
  expect(world.asked.slice(before)).toEqual(["chats.list"]);
});

it("while the coordinator does not answer no session is reported as dead", async () => {
  const { reach, world } = await aWorld();
  world.isCut = (name) => name === "chats.get";
  expect(await findElsewhere(reach, project)).toEqual([]);
});

it("its files are compared with the project here: the same, different, or not here; others are named", async () => {
  const { reach, dead, chat, here, there } = await aWorld();
  const inside = (path: string): string => join(dead.cwd, path);
  mkdirSync(inside("src"));
  dead.write(inside("src/lexer.ts"), "lexer");
  dead.write(inside("gone.ts"), "gone");
  dead.write("/tmp/shim-outside-of-the-project.txt", "elsewhere");
  dead.stop("Written.");
  await there.mirror(dead.session);
  await here.pull();
  mkdirSync(join(chat.cwd, "src"));
  writeFileSync(join(chat.cwd, "parser.ts"), "export const parser = 1;\n");
  writeFileSync(join(chat.cwd, "src", "lexer.ts"), "another lexer");
  const [found] = await findElsewhere(reach, project);
  const from = found && (await restoreElsewhere(reach, found));
  const compared = Object.fromEntries(from?.files.map(({ path, now }) => [path, now]) ?? []);
  expect(compared).toMatchObject({
    [join(chat.cwd, "parser.ts")]: "same",
    [join(chat.cwd, "src", "lexer.ts")]: "changed",
    [join(chat.cwd, "gone.ts")]: "missing",
    "/tmp/shim-outside-of-the-project.txt": "unknown",
  });
  expect(from && composeBrief(from, from.knownUntil).score.parts.find(({ name }) => name === "files")?.text).toBe(
    "1 of 4 files as left (compared: 2 by content, 1 by existence), 1 not verified",
  );
  const text = from ? brief(from, here.runtime.now(), "brief") : "";
  expect(text).toContain(`- ${join("src", "lexer.ts")} (created): DIFFERENT here`);
  expect(text).toContain("NOT HERE");
  expect(text).toContain("shim-outside-of-the-project.txt (created): not verified (outside of its project there)");
});

it("for a session of another machine the coordinator is asked whether it lives, and for its files, and nothing else", async () => {
  const one = await aWorld();
  const { asked } = one.world;
  const before = asked.length;
  expect(await briefElsewhere(one)).toContain("fix the parser");
  expect(asked.slice(before)).toEqual(["chats.get", "sync.read"]);
});

it("the brief says on which machine it was, how old all is, and what was not sent", async () => {
  const one = await aWorld();
  const text = await briefElsewhere(one);
  for (const part of [
    `an earlier session on another machine (desk) died 5 min ago`,
    `it ran on: desk, in ${one.dead.cwd} there`,
    `project: ${one.chat.cwd}`,
    "another SHIM process of its machine saw that its process is gone",
    ") and the lexer\n",
    "not synced: whatever it did after 5 min ago; 1 event after the checkpoint came with it, and is in this",
    "how it stood at the last sync (5 min ago): ",
    "files as they were: on desk only",
    "git: main at a1a1a1a1a1a1, the same here",
    "take true",
  ])
    expect(text).toContain(part);
  expect(text.length).toBeLessThan(10_000);
});

it("the events and the checkpoint that its machine did not send are named", async () => {
  const { reach, there, here, dead } = await aWorld();
  const text = async (): Promise<string> => {
    await here.pull();
    const [found] = await findElsewhere(reach, project);
    return found ? brief(await restoreElsewhere(reach, found), here.runtime.now(), "brief") : "";
  };
  await there.mirror(dead.session, { unsaved: { count: 40, entries: [] } });
  expect(await text()).toContain("not synced: 40 events after the last checkpoint; whatever");
  await there.mirror(dead.session, { checkpoint: null, missingCheckpoint: "it is too large" });
  expect(await text()).toContain("not synced: its newest checkpoint (it is too large)");
});

it("what a worker has begun for a task is found, and not offered", async () => {
  const { world, reach } = await aWorld({ isKnown: false, prompt: "Do task 7 (fix):\n{}" });
  world.wait(10 * minute);
  const found = await findElsewhere(reach);
  expect(found).toHaveLength(1);
  expect(offerableElsewhere(reach, found)).toEqual([]);
});

it("the brief names the tasks of the workspace that the session had", async () => {
  const one = await aWorld();
  await one.there.mirror(one.dead.session, { tasks: [{ task: 1, type: "docs" }] });
  await one.here.pull();
  expect(await briefElsewhere(one)).toContain("its task 1 (docs) was not finished then");
});

/** The chat of this machine, with the MCP process that Claude Code starts for it. */
async function open({ here, chat }: Pick<World, "here" | "chat">): Promise<Connected> {
  return connect(here.runtime, { clientPid: chat.pid, serverPid: chat.pid + 500, team: () => here.team() });
}

it("the tool lists and briefs on sessions of other machines, with the machine", async () => {
  const one = await aWorld();
  writeFileSync(join(one.chat.cwd, "parser.ts"), "export const parser = 1;\n");
  const { call } = await open(one);
  const { text, output } = await call("shim_check_recovery");
  const { session, cwd: project } = one.dead;
  const death = { title: "fix the parser", diedMsAgo: expect.any(Number) as number, cause: "died" };
  expect(output["incomplete"]).toEqual([{ session, ...death, project, machine: "desk", offeredHere: true }]);
  expect(text).toContain("on another machine (desk) died 5 min ago");
  expect(text).toContain("- parser.ts (created): the same here");
  expect(output["score"]).toBeGreaterThan(50);
  // It is in the answer: no hook brings it again.
  expect(newsOf(one.here, one.chat.session)).toEqual([]);
});

it.each([false, true])(
  "a chat on a machine that has mirrored no other yet gets them too, by id %s",
  async (isNamed) => {
    const one = await aWorld();
    one.here.runtime.store.write((sql) => sql.run("DELETE FROM sessions_elsewhere"));
    const { ask } = await open(one);
    const { text } = await ask("shim_check_recovery", isNamed ? { of: one.dead.session } : {});
    expect(text).toContain("on another machine (desk) died 5 min ago");
  },
);

it("one of this machine comes first, and those of others are listed with it", async () => {
  const one = await aWorld();
  const own = anotherClaude(one.here.runtime, one.chat, { session: "abab7777" });
  own.turn("write the docs");
  own.kill();
  const { call } = await open(one);
  const { text, output } = await call("shim_check_recovery");
  expect(text).toContain("write the docs");
  expect(output["incomplete"]).toMatchObject([{ offeredHere: true }, { session: one.dead.session, machine: "desk" }]);
  const named = await call("shim_check_recovery", { of: one.dead.session.slice(0, 8) });
  expect(named.text).toContain("fix the parser");
  expect((await call("shim_check_recovery", { of: "aaa" })).text).toContain("SHIM knows no session");
});

it("without an answer of the coordinator the answer says so, and the local sessions are listed all the same", async () => {
  const one = await aWorld();
  one.world.isCut = () => true;
  const { ask, refusal } = await open(one);
  const { text } = await ask("shim_check_recovery");
  expect(text).toContain("No session died unfinished.");
  expect(text).toContain("Sessions of other machines are not included");
  await refusal("shim_check_recovery", { of: one.dead.session, take: true });
});

it("take makes it this chat's, for all machines; a second time nothing changes", async () => {
  const one = await aWorld();
  const { ask } = await open(one);
  for (let n = 0; n < 2; n++) await ask("shim_check_recovery", { of: one.dead.session, take: true });
  await one.there.pull();
  expect(rowOf({ here: one.there }, one.dead).taken).toMatchObject({ chat: one.chat.session, machine: "laptop" });
});

it("a session that another chat has is refused with chat and machine; a living or finished one with why @night", async () => {
  const one = await aWorld({ isDead: false });
  const { refusal } = await open(one);
  const refused = (): Promise<string> => refusal("shim_check_recovery", { of: one.dead.session, take: true });
  expect(await refused()).toContain("is not known to be dead");
  await one.there.attest(one.dead.session);
  const { chat: rival, ...third } = await aRival(one);
  await takeOver(third.reach, rowOf(third, one.dead));
  // Before the mirror has it, and after.
  expect(await refused()).toContain(`is continued by chat ${rival.session} on tower`);
  await one.here.pull();
  expect(await refused()).toContain(`is continued by chat ${rival.session} on tower`);
  one.dead.end();
  await one.there.mirror(one.dead.session);
  await one.here.pull();
  expect(await refused()).toContain("was finished");
});

it("a session of this machine that another one continues cannot be taken here", async () => {
  const one = await aWorld();
  await takeOver(one.reach, rowOf(one, one.dead));
  const fresh = anotherClaude(one.there.runtime, one.dead, { session: "eeee5555" });
  fresh.start();
  const { ask, refusal } = await open({ here: one.there, chat: fresh });
  const refused = await refusal("shim_check_recovery", { take: true });
  expect(refused).toContain(`is continued by chat ${one.chat.session} on laptop`);
  one.world.isCut = () => true;
  // Leases are never granted offline; work on what is here can continue.
  await ask("shim_check_recovery", { take: true });
  const offered = { recovery: "offered", recoveryBy: fresh.session };
  expect(storedSession(one.there.runtime, one.dead.session)).toMatchObject(offered);
});

it("a chat that joins is offered it by a notification, and its user reads the line and the status line, also where the death becomes known a while later", async () => {
  const one = await aWorld({ isDead: false });
  const team = one.here.team();
  const joined = await team.chatFor(storedSession(one.here.runtime, one.chat.session));
  const member = joined.ok ? joined.value : null;
  expect(member).toBeInstanceOf(TeamChat);
  const news = async (): Promise<unknown[]> => {
    await member?.checkOtherMachines();
    return newsOf(one.here, one.chat.session);
  };
  expect(await news()).toEqual([]);
  await one.there.attest(one.dead.session);
  expect(await news()).toMatchObject([{ kind: "offer", session: one.dead.session }]);
  const status = (): string =>
    renderStatus(statusOf(one.here.runtime, JSON.stringify({ session_id: one.chat.session })), one.here.runtime.now());
  expect(status()).toBe('SHIM: can be continued: "fix the parser" of desk\n');
  // What its own machine or a third one has reported since.
  const { store } = one.here.runtime;
  const other = JSON.stringify({ chat: "other-chat", machine: "third", at: 1 });
  const set = (change: string): void => store.write((sql) => void sql.run(`UPDATE sessions_elsewhere SET ${change}`));
  for (const [change, back] of [
    ["endedAt = 1", "endedAt = NULL"],
    [`taken = '${other}'`, "taken = NULL"],
    ["lastSeenAt = lastSeenAt + 600000", "lastSeenAt = lastSeenAt - 600000"],
  ] as const) {
    set(change);
    expect([change, status()]).toEqual([change, "SHIM: not saved yet | risk 0 safe\n"]);
    set(back);
  }
  expect(status()).toContain("can be continued");
  const { systemMessage, hookSpecificOutput } = one.chat.prompt("what was I doing?");
  expect(hookSpecificOutput?.additionalContext).toContain("on another machine (desk)");
  expect(systemMessage).toMatch(
    /^SHIM: "fix the parser" died \d+ min ago on desk.*; Claude has its brief\. Not this one\? Tell Claude, or: `shim resume --dismiss aaaa1111`$/,
  );
  one.world.wait(minute);
  expect(await news()).toEqual([]);
  await team.end("over");
});
