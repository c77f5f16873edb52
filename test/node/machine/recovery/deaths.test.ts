import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Crash } from "#src/machine/sessions/signals/crashes.ts";
import { listCrashes, tempRuntime, type TempRuntime, T0 } from "#harness/machine/temp-runtime.ts";
import { DeathWatch, recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import { dismiss, take, undo } from "#src/machine/recovery/marks.ts";
import { RecoverySource } from "#src/machine/recovery/source.ts";
import { offer } from "#src/machine/recovery/offers.ts";
import { saveLastCheckpoint } from "#src/machine/recovery/operations/recovery-handlers.ts";
import { claudeCode } from "#src/clients/claude-code/claude-code.ts";
import { spoolEvent } from "#src/local-mcp/events/spool-event.ts";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { aDeadClaude, anotherClaude, Claude, storedSession, claimOf, aChat } from "#harness/machine/claude.ts";
import { isDead } from "#src/machine/sessions/life/presence.ts";
import { findIncomplete, livenessOf, type SessionSearch } from "#src/machine/recovery/incomplete/detect.ts";
import type { Sql } from "#src/shared/sql.ts";
import { leaseRefusal } from "#src/machine/recovery/incomplete/session-lease.ts";
import { mapFiles, mapPath } from "#src/machine/recovery/elsewhere/restoration.ts";
import { resolve } from "#src/machine/recovery/incomplete/resolution.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

const deaths = (runtime: TempRuntime): Crash[] => runtime.store.read((sql) => listCrashes(sql), []);

/** A chat that was killed in its second turn, after two tool calls that no checkpoint holds. */
function aChatKilledInMidTurn(): { runtime: TempRuntime; claude: Claude } {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  claude.prompt("and the lexer");
  for (let call = 0; call < 2; call++) claude.use("Read", { file_path: "/p/a.ts" });
  claude.kill();
  return { runtime, claude };
}

it("a death is recorded with the age of the last checkpoint and what came after it", () => {
  const { runtime, claude } = aChatKilledInMidTurn();
  const { savedAt, lastSeenAt: at } = storedSession(runtime, claude.session);
  runtime.wait(60_000);
  expect(recordDeaths(runtime, () => true)).toBe(1);
  const unsaved = { checkpointAgeMs: at - (savedAt ?? 0), unsavedToolCalls: 2, unsavedEvents: 5 };
  const readings = { toolCalls: { value: 3 } };
  expect(deaths(runtime)).toMatchObject([{ session: claude.session, at, cause: "killed", ...unsaved, readings }]);
});

it("the supervisor, a new chat, the timer and the user see one death, and it is recorded once", async () => {
  const { runtime, claude } = aChatKilledInMidTurn();
  expect(deaths(runtime)).toEqual([]);
  await saveLastCheckpoint(runtime, claude.session);
  runtime.wait(5_000);
  anotherClaude(runtime, claude).start();
  new DeathWatch().check(runtime);
  recordDeaths(runtime, () => true);
  offer(runtime, "next", { project: claude.cwd });
  dismiss(runtime, claude.session);
  // The last checkpoint came after the death, and does not hide what was unsaved then.
  expect(deaths(runtime)).toMatchObject([{ session: claude.session, unsavedToolCalls: 2 }]);
});

it("a session that died, was resumed and died again has two deaths, also when it was resumed at once", () => {
  const { runtime, claude } = aChatKilledInMidTurn();
  claude.resume();
  expect(deaths(runtime)).toMatchObject([{ unsavedToolCalls: 2 }]);
  claude.turn("go on");
  claude.kill();
  expect([1, 2].map(() => recordDeaths(runtime, () => true))).toEqual([1, 0]);
  expect(deaths(runtime).map(({ session: sessionId }) => sessionId)).toEqual([claude.session, claude.session]);
});

it("the timer records a death once it has been seen for ten seconds: an end mark may be on its way", () => {
  const runtime = tempRuntime();
  const watch = new DeathWatch();
  const claude = aDeadClaude(runtime);
  const found = [0, 1_000, 15_000].map((ms) => {
    runtime.wait(ms);
    watch.check(runtime);
    return deaths(runtime).map(({ session: sessionId }) => sessionId);
  });
  expect(found).toEqual([[], [], [claude.session]]);
  claude.resume();
  watch.check(runtime);
  claude.kill();
  watch.check(runtime);
  expect(deaths(runtime)).toHaveLength(1);
});

it("an end mark that comes late shows that there was no death", () => {
  const runtime = tempRuntime();
  const claude = aDeadClaude(runtime);
  const input = { ...claude.input("SessionEnd", { reason: "prompt_input_exit" }), session_id: claude.session };
  spoolEvent(runtime, { client: claudeCode, event: "SessionEnd", input, clientPid: claude.pid });
  recordDeaths(runtime, () => true);
  expect(deaths(runtime)).toHaveLength(1);
  drainInto(runtime);
  expect(storedSession(runtime, claude.session)).toMatchObject({
    ending: { how: "ended", reason: "prompt_input_exit" },
  });
  expect(deaths(runtime)).toEqual([]);
});

it("a report of the client that comes late corrects the cause of its last death", () => {
  const { runtime, claude } = aChatKilledInMidTurn();
  claude.resume();
  claude.prompt("go on");
  claude.kill();
  recordDeaths(runtime, () => true);
  claude.end("other");
  const last = { cause: "closed", detail: expect.stringContaining("before its turn") as string };
  expect(deaths(runtime)).toMatchObject([last, { cause: "killed" }]);
});

it.each<[string, (sql: Sql, id: string, runtime: TempRuntime) => unknown]>([
  ["its end", (sql, id, runtime) => reportEnd(sql, runtime, id, "logout")],
  ["a closed connection", (sql, id, runtime) => reportEnd(sql, runtime, id, "stdin_end")],
  ["a recorded death", (sql, id, runtime) => reportEnd(sql, runtime, id, "gone")],
  ["an offer", (sql, id) => recoveries.add(sql, { at: T0, session: id, action: "offered", by: "next" })],
  ["a dismissal", (sql, id) => recoveries.add(sql, { at: T0, session: id, action: "dismissed" })],
])("a session that is seen alive again has nothing left of %s", (_, mark) => {
  const { runtime, claude } = aChat();
  claude.turn("one");
  runtime.store.write((sql) => mark(sql, claude.session, runtime));
  claude.prompt("two");
  expect(storedSession(runtime, claude.session).ending).toBeNull();
  expect(claimOf(runtime, claude.session)).toBeNull();
});

type Made = Partial<Readonly<{ id: string; project: string | null; pid: number; isEmpty: boolean }>>;

function aSession(runtime: TempRuntime, { id = "s1", pid, project = "/p", isEmpty = false }: Made = {}): void {
  const owner = pid === undefined ? null : runtime.processes.start(pid);
  runtime.wait(1);
  runtime.store.write((sql) => {
    const sighting = { id, client: "test", origin: "startup", project, owner, isAlive: true };
    sessions.recordSighting(sql, runtime.now(), sighting);
    if (!isEmpty) journal.append(sql, id, runtime.now(), "k", { kind: "prompt", text: "do it" });
  });
}

function found(runtime: TempRuntime, search: SessionSearch = {}): string[] {
  return runtime.store.read((sql) => findIncomplete(sql, runtime, search), []).map(({ session }) => session.id);
}

it("incomplete is what has no end mark, no living owner and something to recover, newest first", () => {
  const runtime = tempRuntime();
  for (const [pid, id] of ["dead", "alive", "empty", "ended", "newest"].entries()) {
    aSession(runtime, { id, pid: pid + 10, isEmpty: id === "empty" });
    if (id !== "alive") runtime.processes.kill(pid + 10);
  }
  runtime.store.write((sql) => reportEnd(sql, runtime, "ended", "other"));
  expect(found(runtime)).toEqual(["newest", "dead"]);
  expect(found(runtime, { except: "newest" })).toEqual(["dead"]);
  expect(found(runtime, { limit: 1 })).toEqual(["newest"]);
  expect(recordDeaths(runtime, () => true)).toBe(2);
});

it("an offered session is free again when its chat does not begin within a minute; a taken one is not even listed", () => {
  const runtime = tempRuntime();
  for (const [pid, id] of ["dead", "newest"].entries()) {
    aSession(runtime, { id, pid: pid + 10 });
    runtime.processes.kill(pid + 10);
  }
  const give = (action: "offered" | "taken"): void =>
    runtime.store.write((sql) => {
      recoveries.add(sql, { at: runtime.now(), session: "dead", action: "offered", by: "next" });
      recoveries.add(sql, { at: runtime.now(), session: "dead", action, by: "next" });
    });
  give("offered");
  expect([found(runtime), found(runtime, { limit: 1 })]).toEqual([["newest", "dead"], ["newest"]]);
  expect(found(runtime, { isFree: true })).toEqual(["newest"]);
  give("taken");
  expect(found(runtime)).toEqual(["newest"]);
  runtime.wait(60_001);
  expect(found(runtime, { isFree: true })).toEqual(["newest", "dead"]);
});

it("a hand-over at a usage limit is over once the user has undone it, or has dismissed the session", () => {
  const runtime = tempRuntime();
  const { session } = aDeadClaude(runtime);
  const isHandedOver = [undo, dismiss].flatMap((end) => {
    take(runtime, { session, to: "next", score: null, limit: { to: "Codex", usd: null } });
    const seen = (): unknown => runtime.store.read((sql) => recoveries.findHandOver(sql, session)?.by, null);
    return [seen(), end(runtime, session), seen()];
  });
  expect(isHandedOver).toEqual(["next", true, undefined, "next", true, undefined]);
});

it("a dead session is found behind any number of newer ones that live or hold nothing", () => {
  const runtime = tempRuntime();
  aSession(runtime, { id: "dead", pid: 10 });
  runtime.processes.kill(10);
  for (let n = 0; n < 1_100; n++) aSession(runtime, { id: `newer-${n}`, pid: 1_000 + n, project: n % 2 ? "/p" : null });
  expect(found(runtime)).toEqual(["dead"]);
  expect(found(runtime, { project: "/p" })).toEqual(["dead"]);
  expect(found(runtime, { project: "/q" })).toEqual([]);
  expect(found(runtime, { project: null })).toEqual([]);
});

it("a session whose process is in a container, or is not known, is dead when it was detached, or silent for ten minutes", () => {
  const runtime = tempRuntime();
  aSession(runtime);
  const owners = [null, { ...runtime.processes.start(10), boot: `${runtime.processes.boot()} pid:[2]` }];
  const isGone = (id: string): boolean[] =>
    owners.map((owner) => isDead(runtime, { ...storedSession(runtime, id), owner }));
  expect(isGone("s1")).toEqual([false, false]);
  runtime.wait(600_001);
  aSession(runtime, { id: "s2" });
  runtime.store.write((sql) => reportEnd(sql, runtime, "s2", "stdin_end"));
  expect(["s1", "s2"].flatMap(isGone)).toEqual([true, true, true, true]);
});

it("a chat takes no session that is itself, was finished, runs, or is continued, and is given the reason", async () => {
  const runtime = tempRuntime();
  for (const [pid, id] of ["me", "finished", "runs", "held", "dead", "other"].entries())
    aSession(runtime, { id, pid: pid + 10 });
  for (const pid of [11, 13, 14]) runtime.processes.kill(pid);
  runtime.store.write((sql) => reportEnd(sql, runtime, "finished", "other"));
  take(runtime, { session: "held", to: "other", score: null });
  const source = new RecoverySource(runtime, { chat: storedSession(runtime, "me"), reach: null });
  const refusals = [
    ["me", "this_chat", "me is this chat itself."],
    ["finished", "finished", "finished was finished: there is nothing to continue."],
    ["runs", "still_running", "runs is still running (pid 12)."],
    ["held", "held", "continued by chat other. If the user wants it here: `shim resume --undo held`, then again."],
  ] as const;
  for (const [id, code, words] of refusals)
    expect(await source.check(id)).toMatchObject({ code, message: expect.stringContaining(words) });
  expect(await source.check("dead")).toBeNull();
});

it("a refusal for a lease names the holder and since when", () => {
  const holder = { chat: "b", machine: "m", heldForMs: 300_000 };
  expect(leaseRefusal("s1", "desk", holder).message).toContain("s1 is continued by chat b on m, for 5 min.");
  expect(leaseRefusal("s1", "desk", { ...holder, chat: "s1" }).message).toContain("may still run on desk");
  expect(leaseRefusal("s1", "desk", null).message).toContain("Call again");
});

const minute = 60_000;
const alive = (status: "idle" | "busy" | "stuck" | "draining") =>
  ({ status, reason: null, lastSeenAgeMs: 0, progress: null, taskCount: 0 }) as const;
const offline = (reason: string) =>
  ({ status: "offline", reason, lastSeenAgeMs: minute, progress: null, taskCount: 0 }) as const;

it.each<[string, Parameters<typeof livenessOf>[0], number, string]>([
  ...["attested", "closed", "timeout"].map((reason) => [reason, offline(reason), 0, "over"] as never),
  ...["left", "of a later version"].flatMap((reason) => [
    [reason, offline(reason), 9, "open"] as never,
    [reason, offline(reason), 11, "perhaps over"] as never,
  ]),
  ["unknown", { status: "unknown" }, 9, "open"],
  ["unknown", { status: "unknown" }, 11, "perhaps over"],
  ...(["idle", "busy", "stuck", "draining"] as const).map((one) => [one, alive(one), 60, "open"] as never),
  ["without an answer", { status: "unreachable", why: "no network" }, 60, "open"],
])("a chat that is %s (%j) is after %i silent minutes %s", (_, seen, minutes, expected) => {
  const found = livenessOf(seen, { silenceMs: minutes * minute, hasDied: false });
  expect(found.isOver ? (found.isCertain ? "over" : "perhaps over") : "open").toBe(expected);
  if (seen.status === "unreachable") expect(found.detail).toContain("no network");
});

it("for any list of another machine no path leads out of the project here, and none is lost", () => {
  const roots = { there: "/home/ann/app", here: "/srv/app" };
  const part = fc.oneof(fc.constantFrom("..", ".", "", "src", "\\..\\", "%2e%2e"), fc.string({ maxLength: 5 }));
  const path = fc.array(part, { maxLength: 6 }).map((parts) => `/home/ann/app/${parts.join("/")}`);
  const property = fc.property(fc.array(fc.oneof(path, fc.string()), { maxLength: 8 }), (paths) => {
    const files = paths.map((one) => ({ path: one, hash: "h", action: "edited" as const }));
    const { inside, external } = mapFiles(files, roots);
    expect(inside.length + external.length).toBe(paths.length);
    for (const file of inside) {
      expect(file.path.startsWith("/srv/app/")).toBe(true);
      expect(file.path.split("/")).not.toContain("..");
    }
    for (const file of external) expect(file).toMatchObject({ hash: null, now: "unknown" });
  });
  fc.assert(property);
  expect(mapPath("/home/ann/app/src/a.ts", roots)).toBe("/srv/app/src/a.ts");
  for (const one of ["/home/ann/app2/a.ts", "/home/ann/app", "/home/ann/app/"]) expect(mapPath(one, roots)).toBeNull();
  for (const root of [{ there: null }, { here: null }])
    expect(mapPath("/home/ann/app/a.ts", { ...roots, ...root })).toBeNull();
  expect(mapPath("/a.ts", { there: "/", here: "/work" })).toBeNull();
});

type Event = recoveries.RecoveryEvent;

function events(...given: [Event["action"], chat?: string, hasPrompt?: boolean][]): Event[] {
  const session = "dead";
  return given.map(([action, chat = null, hasPrompt = true], at) => ({ session, at: at + 7, action, chat, hasPrompt }));
}

it.each<[string, ReturnType<typeof events>, object]>([
  ["offered", events(["offered", "a"], ["offered", "b"]), { resolution: "open", offeredTo: ["a", "b"] }],
  ["seen by a chat without a prompt", events(["offered", "a", false]), { resolution: "open", offeredTo: [] }],
  ["offered twice to one chat", events(["offered", "a"], ["offered", "a"]), { declinedBy: ["a"] }],
  ["taken", events(["offered", "a"], ["taken", "a"]), { resolution: "continued", declinedBy: [] }],
  ["worked on without a word", events(["offered", "a"], ["recovered", "a"]), { resolution: "continued" }],
  [
    "offered again, since its successor died before its first checkpoint",
    events(["offered", "a"], ["taken", "a"], ["offered", "b"]),
    { resolution: "open", offeredTo: ["a", "b"], declinedBy: ["b"] },
  ],
  ["dismissed without an offer", events(["dismissed"]), { resolution: "dismissed", offeredTo: [] }],
  ["dismissed, and that undone", events(["offered", "a"], ["dismissed"], ["undone"]), { resolution: "open" }],
])("a dead session that was %s has one resolution, whatever counts it", (_name, given, expected) => {
  expect(resolve(given)).toEqual([expect.objectContaining({ session: "dead", ...expected })]);
});
