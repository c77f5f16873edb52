import { expect, it } from "vitest";
import { currentState } from "#src/machine/checkpoints/capture.ts";
import { findElsewhere } from "#src/machine/recovery/elsewhere/candidates.ts";
import { offerableElsewhere, offerElsewhere } from "#src/machine/recovery/offers.ts";
import { recordContinuation, recordTakeovers } from "#src/machine/sharing/takeover-notices.ts";
import { giveBack, takeOver } from "#src/machine/recovery/elsewhere/takeover.ts";
import { WatchElsewhere } from "#src/machine/recovery/watch.ts";
import type { Reach } from "#src/machine/recovery/elsewhere/reach.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { ok } from "#src/shared/result.ts";
import { Claude, storedSession, anotherClaude, rowCount } from "#harness/machine/claude.ts";
import { project, workspace } from "#harness/sync/machines.ts";
import { aRival, aWorld, minute, newsOf, rowOf, type World } from "#harness/sync/recovery-rig.ts";

/** The session of another machine that the chat is offered. */
function offered({ reach, chat }: Pick<World, "chat"> & { readonly reach: Reach }): Promise<string | null> {
  return offerElsewhere({ ...reach, here: { root: chat.cwd, project } });
}

const naming = { project: () => Promise.resolve(ok(project)) };

/** `shim resume` writes down that the chat which it starts is to take the session. */
function writeDown({ here, dead, chat }: World): void {
  const note = { at: here.runtime.now(), session: dead.session, action: "taken", by: chat.session } as const;
  here.runtime.store.write((sql) => recoveries.add(sql, note));
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
  const notes = one.here.runtime.store.read((sql) => sql.all("SELECT action FROM recoveries"), []);
  expect(notes).toEqual([{ action: "taken" }]);
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

it("of a session that was forgotten where it ran nothing is kept here", async () => {
  const one = await aWorld();
  expect(await offered(one)).toBe(one.dead.session);
  await one.there.device.put({ session: one.dead.session });
  await one.here.pull();
  expect(await found(one.reach)).toEqual([]);
  for (const table of ["sessions_elsewhere", "recoveries"]) expect(rowCount(one.here.runtime, table), table).toBe(0);
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

it("what cannot be taken yet is not offered yet: its own chat holds its lease for a while", async () => {
  const one = await aWorld({ isDead: false });
  const back = await one.there.join(one.dead.session);
  const lease = { resource: `session:${one.dead.session}`, requestId: "own", isBound: true };
  await back.link.call("leases.acquire", lease, 1_000);
  await one.world.host.connect(one.dead.session);
  await one.world.host.disconnect(one.dead.session);
  one.world.wait(25_000);
  expect(await found(one.reach)).toHaveLength(1);
  expect(await offered(one)).toBeNull();
  one.world.wait(minute);
  expect(await offered(one)).toBe(one.dead.session);
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

it("one of another machine that three chats were offered and did not take is only listed", async () => {
  const one = await aWorld();
  const offers: (string | null)[] = [];
  for (const session of ["dddd4444", "eeee5555", "ffff6666", "abab7777"]) {
    const chat = anotherClaude(one.here.runtime, one.chat, { session });
    chat.start();
    chat.prompt("write the docs");
    offers.push(await offered({ chat, reach: await one.here.join(session) }));
    chat.end();
  }
  expect(offers).toEqual([one.dead.session, one.dead.session, one.dead.session, null]);
  expect(await found(one.reach)).toEqual([one.dead.session]);
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

it("it is reported once: a session that continues all the same is not taken for recovered", async () => {
  const one = await aWorld();
  const { store, now } = one.there.runtime;
  const taken = { chat: one.chat.session, machine: "laptop" };
  store.write((sql) => recordContinuation(sql, now(), one.dead.session, taken));
  const back = new Claude(one.there.runtime, { pid: 3_002, cwd: one.dead.cwd, session: one.dead.session });
  back.start("resume");
  expect(JSON.stringify(back.prompt("go on here"))).toContain(`is worked on by chat ${one.chat.session} on laptop`);
  store.write((sql) => recordContinuation(sql, now(), one.dead.session, taken));
  expect(storedSession(one.there.runtime, one.dead.session).recovery).toBeNull();
  expect(newsOf(one.there, one.dead.session)).toEqual([]);
});

it("what `shim resume` has written down, the chat that it starts takes when it joins; given back, it lets it go", async () => {
  const one = await aWorld();
  const row = rowOf(one, one.dead);
  const { session } = one.dead;
  writeDown(one);
  const watch = new WatchElsewhere();
  for (let n = 0; n < 2; n++) await watch.check(one.reach, naming);
  const holders = async (): Promise<unknown> => one.world.host.call("leases.list", { prefix: "session:" });
  expect(await holders()).toMatchObject({
    value: { leases: [{ resource: `session:${session}`, holder: one.chat.session }] },
  });
  expect(rowOf(one, one.dead).taken).toMatchObject({ chat: one.chat.session });
  expect(await giveBack(one.reach, row)).toMatchObject({ ok: true });
  await watch.check(one.reach, naming);
  expect(await holders()).toMatchObject({ value: { leases: [] } });
  await one.here.pull();
  expect(await found(one.reach)).toEqual([session]);
});

it("the lease of a session that is given back while no host runs is released by the next one", async () => {
  const one = await aWorld();
  writeDown(one);
  await new WatchElsewhere().check(one.reach, naming);
  expect(await giveBack(one.reach, rowOf(one, one.dead))).toMatchObject({ ok: true });
  await new WatchElsewhere().check(one.reach, naming);
  const leases = await one.world.host.call("leases.list", { prefix: "session:" });
  expect([leases, rowCount(one.here.runtime, "team_holdings")]).toMatchObject([{ value: { leases: [] } }, 0]);
});

it("where another chat was first, the chat that was started for it learns which", async () => {
  const one = await aWorld();
  const { chat: rival, ...third } = await aRival(one);
  await takeOver(third.reach, rowOf(third, one.dead));
  const { session } = one.dead;
  writeDown(one);
  await new WatchElsewhere().check(one.reach, naming);
  expect(newsOf(one.here, one.chat.session)).toEqual([
    { kind: "continued_elsewhere", session, by: rival.session, machine: "tower" },
  ]);
  await new WatchElsewhere().check(one.reach, naming);
  expect(newsOf(one.here, one.chat.session)).toHaveLength(1);
});

it("a session of another machine that was closed with nothing open is listed, not offered", async () => {
  const one = await aWorld();
  await one.there.mirror(one.dead.session, { detachedAt: 1, detachReason: "closed" });
  await one.here.pull();
  expect(await found(one.reach)).toEqual([one.dead.session]);
  expect(await offered(one)).toBeNull();
});
