import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { renderStatus } from "#src/machine/view/status-text.ts";
import { currentState } from "#src/machine/sessions/checkpoints/capture.ts";
import { readMessages } from "#src/machine/view/overview-handlers.ts";
import { statusOf } from "#src/machine/view/status-line.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { findElsewhere, type Reach } from "#src/machine/recovery/elsewhere/candidates.ts";
import { giveBack, restoreElsewhere, takeOver } from "#src/machine/recovery/elsewhere/restoration.ts";
import { RecoverySource } from "#src/machine/recovery/source.ts";
import { offerableElsewhere, offerElsewhere } from "#src/machine/recovery/offers.ts";
import { acquireLease, releaseLease } from "#src/machine/recovery/incomplete/session-lease.ts";
import { dismiss } from "#src/machine/recovery/marks.ts";
import { recordContinuation, recordTakeovers } from "#src/machine/sharing/takeover-notices.ts";
import { TeamChat } from "#src/machine/team/team-chat.ts";
import { given } from "#harness/coordinator/peers.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { anotherClaude, Claude, storedSession, claimOf } from "#harness/machine/claude.ts";
import { type Connected, connect } from "#harness/machine/mcp-process.ts";
import { type World, aRival, aWorld, minute, newsOf, project, rowIn, workspace } from "#harness/sync/sync-machine.ts";
import type { Io } from "#src/cli/io.ts";
import { readConversation } from "#src/clients/read-conversation.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { fakeOpenCode, filesOf, invented, writeSession } from "#harness/clients/invented-sessions.ts";
import { aCliHome, addSession, failed, holding, printed, type CliHome, known } from "#harness/machine/cli-home.ts";

async function found({ reach }: { readonly reach: Reach }): Promise<string[]> {
  return (await findElsewhere(reach, project)).map(({ row }) => row.id);
}

async function restored({ reach }: World) {
  const [one] = await findElsewhere(reach, project);
  if (!one) throw new Error("none is found");
  return { ...one, from: await restoreElsewhere(reach, one) };
}

function offered({ reach, chat }: Pick<World, "chat"> & { readonly reach: Reach }): Promise<string | null> {
  return offerElsewhere({ ...reach, here: { root: chat.cwd, project } });
}

/** The chat of this machine, with the MCP process that Claude Code starts for it. */
async function open({ here, chat }: Pick<World, "here" | "chat">): Promise<Connected> {
  return connect(here.runtime, { clientPid: chat.pid, serverPid: chat.pid + 500, team: () => here.team() });
}

it("a session of another machine is found when the coordinator reports its chat as gone, not before", async () => {
  expect(await found(await aWorld({ isDead: false }))).toEqual([]);
  const one = await aWorld();
  const { row, liveness } = await restored(one);
  expect(row).toMatchObject({ id: one.dead.session, machine: "desk" });
  expect(liveness).toMatchObject({ isOver: true, isCertain: true });
  expect(await findElsewhere(one.reach, "another-project")).toEqual([]);
  expect(await found({ reach: { ...one.reach, runtime: one.there.runtime } })).toEqual([]);
  one.world.weather = (name) => (name === "chats.get" ? "unreachable" : "good");
  expect(await found(one)).toEqual([]);
  one.wait(6 * minute);
  expect(await found(one)).toEqual([]);
});

it("one that may live there, or of which the coordinator gives no news, cannot be taken, and the reason is given", async () => {
  const one = await aWorld({ isDead: false });
  const why = (reach: Reach) =>
    new RecoverySource(one.here.runtime, { chat: storedSession(one.here.runtime, one.chat.session), reach }).check(
      one.dead.session,
    );
  const alive = expect.stringContaining("is not known to be dead on desk: It is ");
  expect(await why(one.reach)).toMatchObject({ code: "still_running", message: alive });
  const unknown = expect.stringContaining("whether another chat continues it is not known now.");
  expect(await why({ ...one.reach, isStale: true })).toMatchObject({ code: "unreachable", message: unknown });
});

it("a session without a chat counts as ended after ten silent minutes, and not as certainly dead", async () => {
  const one = await aWorld({ isKnown: false });
  expect(await found(one)).toEqual([]);
  one.wait(6 * minute);
  const { liveness, from } = await restored(one);
  expect(liveness).toMatchObject({ isOver: true, isCertain: false });
  const text = brief(from, one.here.runtime.now(), "brief");
  expect(text).toContain("was last heard of 11 min ago (whether it died is not certain)");
});

it("recall of a session of another machine quotes what that machine has sent", async () => {
  const one = await aWorld();
  const { ask } = await open(one);
  const { output } = await ask("shim_recall", { of: one.dead.session, prompt: 1 });
  expect(output["message"]).toContain("by what its machine has sent: ");
  expect(output["message"]).toMatch(/user \([^)]*prompt 1\):\n\w/);
});

it("one that ended, was recovered or dismissed where it ran, or holds nothing, is not found", async () => {
  const one = await aWorld();
  const { there, dead, here } = one;
  const isFound = async (change: Parameters<typeof there.mirror>[1] = {}): Promise<boolean> => {
    await there.mirror(dead.session, change);
    await here.pull();
    return (await found(one)).length > 0;
  };
  const empty = { checkpoint: null, toolCalls: 0, unsaved: { count: 0, entries: [] } };
  for (const change of [{ recovery: "recovered" }, { recovery: "dismissed" }, empty] as const)
    expect(await isFound(change)).toBe(false);
  dead.end();
  expect(await isFound()).toBe(false);
});

it("its files are compared with the project here: the same, different, or not here; others are named", async () => {
  const one = await aWorld();
  const { dead, chat, here, there } = one;
  const outside = join(temporaryFolder(), "notes.txt");
  mkdirSync(join(dead.cwd, "src"));
  dead.write(join(dead.cwd, "src/lexer.ts"), "lexer");
  dead.write(join(dead.cwd, "gone.ts"), "gone");
  dead.write(outside, "elsewhere");
  dead.stop("Written.");
  await there.mirror(dead.session);
  await here.pull();
  mkdirSync(join(chat.cwd, "src"));
  writeFileSync(join(chat.cwd, "parser.ts"), "export const parser = 1;\n");
  writeFileSync(join(chat.cwd, "src", "lexer.ts"), "another lexer");
  const { from } = await restored(one);
  const at = (path: string): string => join(chat.cwd, path);
  const compared = Object.fromEntries(from.files.map(({ path, now }) => [path, now]));
  const expected = { [at("parser.ts")]: "same", [at("src/lexer.ts")]: "changed", [at("gone.ts")]: "missing" };
  expect(compared).toMatchObject({ ...expected, [outside]: "unknown" });
  const score = "1 of 4 files as left (compared: 2 by content, 1 by existence), 1 not verified";
  const parts = ["DIFFERENT here", "NOT HERE", "not verified (outside of its project there)", score];
  expect(brief(from, here.runtime.now(), "brief")).toEqual(holding(...parts));
});

it("the brief says on which machine it was, how old all is, and what was not sent", async () => {
  const one = await aWorld();
  const parts = [
    "an earlier session on another machine (desk) died 5 min ago",
    `it ran on: desk, in ${one.dead.cwd} there`,
    `project: ${one.chat.cwd}`,
    "another SHIM process of its machine saw that its process is gone",
    ") and the lexer\n",
    "not synced: whatever it did after 5 min ago; 1 event after the checkpoint came with it, and is in this",
    "how it stood at the last sync (5 min ago): ",
    "files as they were: on desk only",
    "git: main at a1a1a1a1a1a1, the same here",
  ];
  expect(brief((await restored(one)).from, one.here.runtime.now(), "brief")).toEqual(holding(...parts));
});

it("the tool lists sessions of other machines and briefs on them; take makes one this chat's, for all machines", async () => {
  const one = await aWorld();
  const { ask } = await open(one);
  const { text, output } = await ask("shim_check_recovery");
  const { session, cwd } = one.dead;
  const death = { title: "fix the parser", diedMsAgo: expect.any(Number) as number, cause: "died" };
  expect(output["incomplete"]).toEqual([{ session, ...death, project: cwd, machine: "desk", offeredHere: true }]);
  expect(text).toContain("on another machine (desk) died 5 min ago");
  // It is in the answer: no hook brings it again.
  expect(newsOf(one.here, one.chat.session)).toEqual([]);
  // A second time nothing changes.
  for (let n = 0; n < 2; n++) await ask("shim_check_recovery", { of: session, take: true });
  await one.there.pull();
  expect(rowIn(one.there, session).taken).toMatchObject({ chat: one.chat.session, machine: "laptop" });
});

it("a session of this machine that another one continues cannot be taken here", async () => {
  const one = await aWorld();
  await takeOver(one.reach, rowIn(one.here, one.dead.session));
  const fresh = anotherClaude(one.there.runtime, one.dead, { session: "eeee5555" });
  fresh.start();
  const { ask, refusal } = await open({ here: one.there, chat: fresh });
  const refused = await refusal("shim_check_recovery", { take: true });
  expect(refused).toContain(`is continued by chat ${one.chat.session} on laptop`);
  one.world.weather = () => "unreachable";
  // Leases are never granted offline; work on what is here can continue.
  await ask("shim_check_recovery", { take: true });
  const expected = { is: "taken", by: fresh.session };
  expect(claimOf(one.there.runtime, one.dead.session)).toMatchObject(expected);
});

it("a chat that joins is offered it once, and its user reads the line and the status line, also where the death becomes known a while later", async () => {
  const one = await aWorld({ isDead: false });
  const team = one.here.team();
  const member = given(await team.chatFor(storedSession(one.here.runtime, one.chat.session)));
  expect(member).toBeInstanceOf(TeamChat);
  const news = async (): Promise<unknown[]> => {
    await member?.checkOtherMachines();
    return newsOf(one.here, one.chat.session);
  };
  expect(await news()).toEqual([]);
  await one.there.attest(one.dead.session);
  expect(await news()).toMatchObject([{ kind: "offer", session: one.dead.session }]);
  const status = statusOf(one.here.runtime, JSON.stringify({ session_id: one.chat.session }));
  expect(renderStatus(status, one.here.runtime.now())).toBe('SHIM: can be continued: "fix the parser" of desk\n');
  const { systemMessage, hookSpecificOutput } = one.chat.prompt("what was I doing?");
  expect(hookSpecificOutput?.additionalContext).toContain("on another machine (desk)");
  expect(systemMessage).toMatch(/^SHIM: "fix the parser" died \d+ min ago on desk.*; Claude has its brief\./);
  one.wait(minute);
  expect(await news()).toEqual([]);
  await team.end("over");
});

it("words that wait in a session go on to the chat of another machine that takes it, once each, and its own machine says so", async () => {
  const one = await aWorld({ isDead: false });
  const { there, here, dead, chat, reach } = one;
  const key = `${news.wordsKey(dead.session)}1`;
  const words = { kind: "user_message", by: "phone Pixel", text: "and rename the lexer" } as const;
  there.runtime.store.write((sql) => news.add(sql, there.runtime.now(), dead.session, key, words));
  await there.mirror(dead.session);
  await there.attest(dead.session);
  await here.pull();
  for (let n = 0; n < 2; n++) expect(await takeOver(reach, rowIn(here, dead.session))).toMatchObject({ ok: true });
  const given = chat.prompt("go on").hookSpecificOutput?.additionalContext ?? "";
  expect(given.split("and rename the lexer")).toHaveLength(2);
  expect(chat.prompt("and then?").hookSpecificOutput?.additionalContext ?? "").not.toContain("rename the lexer");
  there.runtime.store.write((sql) =>
    recordContinuation(sql, there.runtime, dead.session, { chat: chat.session, machine: "laptop" }),
  );
  expect(readMessages(there.runtime)).toMatchObject([
    { kind: "continued_elsewhere" },
    {
      text: expect.stringContaining("rename the lexer"),
      isDelivered: false,
      status: expect.stringMatching(/^went on/),
    },
  ]);
});

it.each([
  [0, "2 of at least 2 prompts quoted (no transcript was read)"],
  [900, "2 of 2 prompts quoted"],
])("of %s bytes of its transcript that its machine has read the brief says: %s", async (transcriptOffset, text) => {
  const one = await aWorld();
  await one.there.mirror(one.dead.session, { transcriptOffset });
  await one.here.pull();
  const { from } = await restored(one);
  expect(brief(from, one.here.runtime.now(), "brief")).toContain(text);
});

it("two machines ask at the same time: one gets it, the other is refused with chat and machine", async () => {
  const one = await aWorld();
  const rival = await aRival(one);
  const both = [one, rival].map(({ reach, here }) => takeOver(reach, rowIn(here, one.dead.session)));
  const [first, second] = await Promise.all(both);
  expect(first).toMatchObject({ ok: true });
  const message = expect.stringContaining(`continued by chat ${one.chat.session} on laptop`) as string;
  expect(second).toMatchObject({ ok: false, error: { code: "held", message } });
  await rival.here.pull();
  expect(await found(rival)).toEqual([]);
});

it.each(["leases.acquire", "sync.take"])("cut off at %s nothing is lost: the same again takes it", async (cut) => {
  const one = await aWorld();
  const take = (): Promise<unknown> => takeOver(one.reach, rowIn(one.here, one.dead.session));
  one.world.weather = (name) => (name === cut ? "unreachable" : "good");
  expect(await take()).toMatchObject({ ok: false, error: { code: "unreachable" } });
  expect(rowIn(one.here, one.dead.session).taken).toBeNull();
  one.world.weather = () => "good";
  for (let n = 0; n < 2; n++) expect(await take()).toMatchObject({ ok: true });
});

it("a successor keeps the prompts; when it dies with a checkpoint, it is found itself", async () => {
  const one = await aWorld();
  expect(await takeOver(one.reach, rowIn(one.here, one.dead.session))).toMatchObject({ ok: true });
  const state = one.here.runtime.store.read((sql) => currentState(sql, one.chat.session), null);
  const prompts = [{ text: "fix the parser" }, { text: "and the lexer" }];
  expect(state?.continues).toMatchObject({ session: one.dead.session, prompts });
  // Dead before it has saved anything: the first one is open again.
  await one.here.attest(one.chat.session);
  const rival = await aRival(one);
  for (const all of [rival, one]) expect(await found(all)).toEqual([one.dead.session]);
  one.chat.turn("go on");
  await one.here.mirror(one.chat.session);
  await rival.here.pull();
  expect(await found(rival)).toEqual([one.chat.session]);
});

it("a session that was forgotten where it ran cannot be taken, and leaves no lease behind", async () => {
  const one = await aWorld();
  const row = rowIn(one.here, one.dead.session);
  await one.there.sealer.put({ session: one.dead.session });
  expect(await takeOver(one.reach, row)).toMatchObject({ ok: false, error: { code: "unknown_key" } });
  expect(await holdersIn(one)).toEqual([]);
  expect(await giveBack(one.reach, row)).toEqual({ ok: true, value: true });
});

it("a chat keeps its taken session over a cut, gives it back after an undo, and learns of another one's taking", async () => {
  const one = await aWorld();
  const team = one.here.team();
  const member = given(await team.chatFor(storedSession(one.here.runtime, one.chat.session)));
  const row = rowIn(one.here, one.dead.session);
  const take = (): unknown =>
    one.here.runtime.store.write((sql) =>
      recoveries.add(sql, { at: one.here.runtime.now(), session: row.id, action: "taken", by: one.chat.session }),
    );
  const holders = async (): Promise<string[]> => {
    await member?.checkOtherMachines();
    return holdersIn(one);
  };
  expect(await holders()).toEqual([]);
  take();
  one.world.weather = (name) => (name === "sync.take" ? "unreachable" : "good");
  expect(await holders()).toEqual([one.chat.session]);
  one.world.weather = () => "good";
  expect(await holders()).toEqual([one.chat.session]);
  await giveBack(one.reach, row);
  expect(await holders()).toEqual([]);
  const rival = await aRival(one);
  await takeOver(rival.reach, rowIn(rival.here, row.id));
  take();
  expect(await holders()).toEqual([rival.chat.session]);
  const continued = { kind: "continued_elsewhere", session: row.id, by: rival.chat.session, machine: "tower" };
  expect(newsOf(one.here, one.chat.session)).toContainEqual(continued);
  await team.end("over");
});

/** Chats that hold the lease of the dead session. */
async function holdersIn({ world, dead }: World): Promise<string[]> {
  const { leases } = given(await world.host.call("leases.list", { prefix: `session:${dead.session}` }));
  return leases.map(({ holder }) => holder);
}

it("a chat is offered the newest of its project once; a second chat of this machine is not", async () => {
  const one = await aWorld();
  const { link } = (await aRival(one)).reach;
  const token = given(await acquireLease(link, one.dead.session));
  expect(await offered(one)).toBeNull();
  await releaseLease(link, one.dead.session, token);
  expect([await offered(one), await offered(one)]).toEqual([one.dead.session, null]);
  const second = anotherClaude(one.here.runtime, one.chat, { session: "dddd4444" });
  second.start();
  const beside = { ...one, reach: { ...one.reach, ...(await one.here.register(second.session)) } };
  expect(await offered(beside)).toBeNull();
  one.chat.kill();
  expect(await offered(beside)).toBe(one.dead.session);
});

it("none is offered to a task's chat and a script, and when it is too old", async () => {
  const one = await aWorld();
  const { runtime } = one.here;
  for (const env of [{ SHIM_TASK: "1" }, { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" }])
    expect(await offered({ ...one, reach: { ...one.reach, runtime: { ...runtime, env } } })).toBeNull();
  one.wait(8 * 24 * 60 * minute);
  const old = await findElsewhere(one.reach, project);
  expect([old.length, offerableElsewhere(one.reach, old), await offered(one)]).toEqual([1, [], null]);
});

it("a session that went on where it ran after its dismissal here, and died again, is found and offered", async () => {
  const one = await aWorld();
  const { runtime } = one.here;
  const seen = await findElsewhere(one.reach, project);
  dismiss(runtime, one.dead.session);
  expect([await found(one), offerableElsewhere(one.reach, seen)]).toEqual([[], []]);
  one.wait(minute);
  one.dead.turn("go on");
  await one.there.mirror(one.dead.session);
  await one.here.pull();
  expect(await found(one)).toEqual([one.dead.session]);
  expect(await offered(one)).toBe(one.dead.session);
});

it("the old session learns that it was continued elsewhere, and is not offered where it ran", async () => {
  const one = await aWorld();
  const { runtime, sealer } = one.there;
  const fresh = anotherClaude(runtime, one.dead, { session: "eeee5555" });
  expect(fresh.start()).toContain("fix the parser");
  expect(await takeOver(one.reach, rowIn(one.here, one.dead.session))).toMatchObject({ ok: true });
  await one.there.pull();
  for (let n = 0; n < 2; n++) recordTakeovers(runtime, workspace, sealer.device);
  const continued = { kind: "continued_elsewhere", session: one.dead.session, by: one.chat.session, machine: "laptop" };
  for (const { session } of [one.dead, fresh]) expect(newsOf(one.there, session)).toEqual([continued]);
  const isRecovered = { is: "recovered", by: continued.by };
  expect(claimOf(runtime, one.dead.session)).toMatchObject(isRecovered);
  await one.there.mirror(one.dead.session);
  const taken = { device: sealer.device, session: one.dead.session };
  given(await one.world.host.call("sync.give-back", taken, { machine: "laptop", isAdmin: false }));
  await one.there.pull();
  recordTakeovers(runtime, workspace, sealer.device);
  expect(claimOf(runtime, one.dead.session)).toBeNull();
  await one.here.pull();
  expect(await found(one)).toEqual([one.dead.session]);
  expect(await takeOver(one.reach, rowIn(one.here, one.dead.session))).toMatchObject({ ok: true });
  await one.there.pull();
  recordTakeovers(runtime, workspace, sealer.device);
  expect(claimOf(runtime, one.dead.session)).toMatchObject(isRecovered);
  fresh.kill();
  expect(anotherClaude(runtime, one.dead, { session: "ffff6666" }).start()).not.toContain("fix the parser");
  // It returns by `claude --resume`.
  const back = new Claude(runtime, { pid: 3_002, cwd: one.dead.cwd, session: one.dead.session });
  expect(back.start("resume")).toContain(`was continued by session ${one.chat.session}`);
});

type Made = Readonly<{ made: string; file: string | null; start: object }>;

/** A session that its client has written, and whose process is gone. @returns its id */
function aSession(home: CliHome, client: string, more: readonly object[] = []): string {
  if (client === "opencode") {
    const id = "ses_deadb5e3effe5J6ePB0OODywj2";
    fakeOpenCode(home.folder, id);
    addSession(home, { id, client, pid: 77 });
    return id;
  }
  const session = invented(client, home.project);
  const rows = more.map((row) => Object.assign({}, session.rows[0], row));
  writeSession(home.folder, session, [...session.rows, ...rows]);
  known(home, session);
  return session.id;
}

const targets = ["claude-code", "codex", "opencode"];
const pairs = [...targets, "copilot", "qwen", "gemini"].flatMap((from) => targets.map((into) => [from, into] as const));

it.each(pairs)("a session of %s is a session of %s too, and stays as it is", async (from, into) => {
  const home = aCliHome();
  vi.stubEnv("TMPDIR", home.folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const id = aSession(home, from);
  if (from !== "opencode") fakeOpenCode(home.folder, null);
  const before = filesOf(home);
  const made = (await home.json(`resume ${id} --in ${into} --native`)) as unknown as Made;
  const read = given(await readConversation(made.file ?? join(home.folder, "imported.json"), openNodeSqlite));
  const text = JSON.stringify(read.items);
  expect(text).toContain("the word is pear");
  expect(readdirSync(home.folder).filter((name) => name.startsWith("shim-native-"))).toEqual([]);
  if (from !== "codex") expect(text).toContain(from === "opencode" ? "Noted." : "Ran one.");
  expect(made.start).toMatchObject({ kind: "resume", newId: made.made, cwd: home.project });
  const added = [...filesOf(home)].filter(([name]) => !before.has(name));
  expect(added.filter(([, bytes]) => bytes !== null)).toHaveLength(into === "opencode" ? 0 : 1);
  expect([...filesOf(home)].filter(([name]) => before.has(name))).toEqual([...before]);
});

it("in a terminal the client is started by its resume command, and the session is its new one's", async () => {
  const home = aCliHome();
  const id = aSession(home, "claude-code");
  const terminal: Partial<Io> = { isTty: true, isInteractive: true };
  const startProcess: Io["startProcess"] = async (start) => {
    home.started.push(start);
    addSession(home, { id: start.args[1] ?? "", client: "codex", pid: 700 });
    return 0;
  };
  const ran = await home.shimWith({ ...terminal, startProcess }, `resume ${id} --in codex --native`);
  expect([ran.code, ran.err.replaceAll("\n", " ")]).toEqual([
    0,
    holding(`the conversation of ${id}, which stays as it is`),
  ]);
  const [{ command, args, env }] = home.started as [(typeof home.started)[0]];
  expect([command, args[0], env]).toEqual(["codex", "resume", { SHIM_SUCCESSOR: args[1] }]);
  expect(claimOf(home.runtime, id)).toMatchObject({ by: args[1] });
});

function message(role: string, content: object) {
  return { type: role, message: { role, content, id: "m9", model: "m1" }, timestamp: "2026-11-25T11:00:00.000Z" };
}

it("the answer counts what is not carried over, what could not be read and what is redacted", async () => {
  const home = aCliHome();
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "" } };
  const secret = "ghp_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5";
  const id = aSession(home, "claude-code", [
    { uuid: "a1", ...message("user", [{ type: "text", text: `my token is ${secret}` }, image]) },
    { uuid: "a2", ...message("assistant", [{ type: "thinking", thinking: "hm" }]) },
    { uuid: "a3", ...message("assistant", [{ type: "tool_use", id: "t9", name: "Grep", input: { pattern: secret } }]) },
  ]);
  const file = home.runtime.store.read((sql) => sessions.get(sql, id), null)?.transcriptPath ?? "";
  appendFileSync(file, `{"type":"user","mess\n`);
  const ran = await home.shim(`resume ${id} --in codex --native`);
  expect(ran).toMatchObject(
    printed(
      "2 prompts, 1 answer, 2 calls with results.",
      "Not carried over: 1 image, 1 thought, 1 result that was never recorded.",
      "1 part of its transcript could not be read or is missing.",
      "Codex has no such tools, so their calls keep the names: Grep (1).",
      "2 secret or private texts are left out.",
      "To continue it, in ",
      ": codex resume ",
    ),
  );
  const written = [...filesOf(home)].find(([name]) => name.startsWith(".codex/") && name.endsWith(".jsonl"))?.[1];
  const content = Buffer.from(written ?? "", "base64").toString();
  expect(content).not.toContain(secret);
  expect(content).toContain("my token is [redacted:");
});

it("what cannot be done is refused, with why and with the command that takes the brief", async () => {
  const home = aCliHome();
  const id = aSession(home, "claude-code");
  const refused = async (options: string, code: number, ...why: (string | RegExp)[]): Promise<void> =>
    expect(await home.shim(`resume ${id} ${options} --native`)).toMatchObject(failed(code, ...why));
  const none = "Claude Code, Codex and OpenCode, and none of Qwen Code";
  await refused("--in qwen", 2, none, /`shim resume \w+ --in qwen`, without --native/);
  const absent: Partial<Io> = { versionOf: () => null };
  expect(await home.shimWith(absent, `resume ${id} --in codex --native`)).toMatchObject(
    failed(1, "`codex` cannot be started: install Codex first", "--in codex`, without --native"),
  );
  const file = home.runtime.store.read((sql) => sessions.get(sql, id), null)?.transcriptPath ?? "";
  const rows = readFileSync(file, "utf8");
  writeFileSync(file, "\0".repeat(400));
  await refused("--in codex", 1, "it holds nothing but zeros");
  rmSync(file);
  await refused("--in codex", 1, "no transcript of it is there");
  await refused("--print", 2, "give one of them");
  writeFileSync(file, rows);
  home.alive.add(77);
  expect((await home.shim(`resume ${id} --in claude-code --native`)).code).not.toBe(0);
  expect([...filesOf(home).keys()].filter((name) => name.startsWith(".codex/"))).toEqual([]);
});
