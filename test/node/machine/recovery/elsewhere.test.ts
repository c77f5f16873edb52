import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { anotherClaude, storedSession, Claude } from "#harness/machine/claude.ts";
import { type Connected, connect } from "#harness/machine/mcp-client.ts";
import { project, workspace } from "#harness/sync/machines.ts";
import { type World, aRival, aWorld, minute, newsOf, rowOf } from "#harness/sync/recovery-rig.ts";
import { renderStatus } from "#src/cli/commands/statusline.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import { brief, composeBrief } from "#src/machine/recovery/brief/brief.ts";
import { findElsewhere } from "#src/machine/recovery/elsewhere/candidates.ts";
import { restoreElsewhere } from "#src/machine/recovery/elsewhere/restoration.ts";
import { takeOver } from "#src/machine/recovery/elsewhere/takeover.ts";
import { TeamChat } from "#src/machine/team/team-chat.ts";
import { expect, it } from "vitest";
import { currentState } from "#src/machine/checkpoints/capture.ts";
import { offerableElsewhere, offerElsewhere } from "#src/machine/recovery/offers.ts";
import { recordTakeovers } from "#src/machine/sharing/takeover-notices.ts";
import type { Reach } from "#src/machine/recovery/elsewhere/reach.ts";

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

it("take makes it this chat's, for all machines; a second time nothing changes", async () => {
  const one = await aWorld();
  const { ask } = await open(one);
  for (let n = 0; n < 2; n++) await ask("shim_check_recovery", { of: one.dead.session, take: true });
  await one.there.pull();
  expect(rowOf({ here: one.there }, one.dead).taken).toMatchObject({ chat: one.chat.session, machine: "laptop" });
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
  const { systemMessage, hookSpecificOutput } = one.chat.prompt("what was I doing?");
  expect(hookSpecificOutput?.additionalContext).toContain("on another machine (desk)");
  expect(systemMessage).toMatch(
    /^SHIM: "fix the parser" died \d+ min ago on desk.*; Claude has its brief\. Not this one\? Tell Claude, or: `shim resume --dismiss aaaa1111`$/,
  );
  one.world.wait(minute);
  expect(await news()).toEqual([]);
  await team.end("over");
});

/** The session of another machine that the chat is offered. */
function offered({ reach, chat }: Pick<World, "chat"> & { readonly reach: Reach }): Promise<string | null> {
  return offerElsewhere({ ...reach, here: { root: chat.cwd, project } });
}

/** The sessions of the project that are found on other machines. */
async function found(reach: Reach): Promise<string[]> {
  return (await findElsewhere(reach, project)).map(({ row }) => row.id);
}

it("two machines ask at the same time: one gets it, the other is refused with chat and machine", async () => {
  const one = await aWorld();
  const { here: third, reach: other } = await aRival(one);
  const answers = await Promise.all([
    takeOver(one.reach, rowOf(one, one.dead)),
    takeOver(other, rowOf({ here: third }, one.dead)),
  ]);
  expect(answers[0]).toMatchObject({ ok: true });
  expect(answers[1]).toMatchObject({ ok: false, error: { code: "held" } });
  if (!answers[1].ok) expect(answers[1].error.message).toContain(`continued by chat ${one.chat.session} on laptop`);
  await third.pull();
  expect(await found(other)).toEqual([]);
  expect(rowOf({ here: third }, one.dead).taken).toMatchObject({ chat: one.chat.session, machine: "laptop" });
});

it.each(["leases.acquire", "sync.take"])("cut off at %s nothing is lost: the same again takes it", async (cut) => {
  const one = await aWorld();
  const take = (): Promise<unknown> => takeOver(one.reach, rowOf(one, one.dead));
  one.world.isCut = (name) => name === cut;
  expect(await take()).toMatchObject({ ok: false, error: { code: "unreachable" } });
  expect(rowOf(one, one.dead).taken).toBeNull();
  one.world.isCut = () => false;
  for (let n = 0; n < 2; n++) expect(await take()).toMatchObject({ ok: true });
});

it("a successor keeps the prompts; when it dies with a checkpoint, it is found itself", async () => {
  const one = await aWorld();
  expect(await takeOver(one.reach, rowOf(one, one.dead))).toMatchObject({ ok: true });
  const { store } = one.here.runtime;
  expect(store.read((sql) => currentState(sql, one.chat.session)?.continues, null)).toMatchObject({
    session: one.dead.session,
    prompts: [{ text: "fix the parser" }, { text: "and the lexer" }],
  });
  // Dead before it has saved anything: the first one is open again.
  await one.here.attest(one.chat.session);
  const { here: third, reach: other } = await aRival(one);
  expect(await found(other)).toEqual([one.dead.session]);
  one.chat.turn("go on");
  await one.here.mirror(one.chat.session);
  await third.pull();
  expect(await found(other)).toEqual([one.chat.session]);
});

it("a session that was forgotten where it ran cannot be taken, and leaves no lease behind", async () => {
  const one = await aWorld();
  const row = rowOf(one, one.dead);
  await one.there.device.put({ session: one.dead.session });
  expect(await takeOver(one.reach, row)).toMatchObject({ ok: false, error: { code: "unknown_key" } });
  expect(await one.world.host.call("leases.list", {})).toMatchObject({ ok: true, value: { leases: [] } });
});

it("a chat is offered the newest of its project once; a second chat of this machine is not", async () => {
  const one = await aWorld();
  expect(await offered(one)).toBe(one.dead.session);
  expect(await offered(one)).toBeNull();
  expect(newsOf(one.here, one.chat.session)).toMatchObject([
    {
      kind: "offer",
      session: one.dead.session,
      machine: "desk",
      from: { state: { prompts: [{ text: "fix the parser" }, {}] } },
    },
  ]);
  const second = anotherClaude(one.here.runtime, one.chat, { session: "dddd4444" });
  second.start();
  const other = await one.here.join(second.session);
  expect(await offered({ ...one, reach: other })).toBeNull();
  one.chat.kill();
  expect(await offered({ ...one, reach: other })).toBe(one.dead.session);
});

it("none is offered to a task's chat and a script, after a dismissal, and when it is too old", async () => {
  const one = await aWorld();
  const { runtime } = one.here;
  for (const env of [{ SHIM_TASK: "1" }, { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" }])
    expect(await offered({ ...one, reach: { ...one.reach, runtime: { ...runtime, env } } })).toBeNull();
  const note = { at: runtime.now(), session: one.dead.session };
  runtime.store.write((sql) => recoveries.add(sql, { ...note, action: "dismissed" }));
  expect(await offered(one)).toBeNull();
  runtime.store.write((sql) => recoveries.add(sql, { ...note, action: "undone" }));
  one.world.wait(8 * 24 * 60 * minute);
  const old = await findElsewhere(one.reach, project);
  expect(old).toHaveLength(1);
  expect(offerableElsewhere(one.reach, old)).toEqual([]);
  expect(await offered(one)).toBeNull();
  expect(newsOf(one.here, one.chat.session)).toEqual([]);
});

it("the old session learns that it was continued elsewhere, and is not offered where it ran", async () => {
  const one = await aWorld();
  const fresh = anotherClaude(one.there.runtime, one.dead, { session: "eeee5555" });
  expect(fresh.start()).toContain("fix the parser");
  expect(await takeOver(one.reach, rowOf(one, one.dead))).toMatchObject({ ok: true });
  await one.there.pull();
  recordTakeovers(one.there.runtime, workspace, one.there.device.device);
  recordTakeovers(one.there.runtime, workspace, one.there.device.device);
  const told = { kind: "continued_elsewhere", session: one.dead.session, by: one.chat.session, machine: "laptop" };
  expect(newsOf(one.there, one.dead.session)).toEqual([told]);
  expect(newsOf(one.there, fresh.session)).toEqual([told]);
  expect(storedSession(one.there.runtime, one.dead.session)).toMatchObject({
    recovery: "recovered",
    recoveryBy: one.chat.session,
  });
  fresh.kill();
  const later = anotherClaude(one.there.runtime, one.dead, { session: "ffff6666" });
  expect(later.start()).not.toContain("fix the parser");
  // It returns by `claude --resume`.
  const back = new Claude(one.there.runtime, { pid: 3_002, cwd: one.dead.cwd, session: one.dead.session });
  expect(back.start("resume")).toContain(`was continued by session ${one.chat.session}`);
});
