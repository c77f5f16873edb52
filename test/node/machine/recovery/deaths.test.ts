import { expect, it } from "vitest";
import type { Crash } from "#src/machine/signals/history.ts";
import { listCrashes } from "#harness/machine/crashes.ts";
import { DeathWatch, recordDeath, recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";
import { dismiss, undo } from "#src/machine/recovery/marks.ts";
import { offer } from "#src/machine/recovery/offers.ts";
import { saveLastCheckpoint } from "#src/machine/operations/recovery-handlers.ts";
import { spoolEvent } from "#src/local-mcp/events/spool-event.ts";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import { Upkeep } from "#src/local-mcp/host/upkeep.ts";
import { composeBrief } from "#src/machine/recovery/brief/brief.ts";
import { restore } from "#src/machine/recovery/incomplete/restoration.ts";
import {
  aDeadClaude,
  anotherClaude,
  aProject,
  Claude,
  rowCount,
  storedSession,
  aChat,
} from "#harness/machine/claude.ts";
import { timeline } from "#src/machine/operations/session-view.ts";
import { readContent } from "#src/machine/sessions/session-content.ts";
import { connect } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

function deaths(runtime: TempRuntime): Crash[] {
  return runtime.store.read((sql) => listCrashes(sql), []);
}

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

it("a death that was dismissed and never offered is recorded", () => {
  const runtime = tempRuntime();
  const { session } = aDeadClaude(runtime);
  dismiss(runtime, session);
  expect(deaths(runtime)).toMatchObject([{ session }]);
});

it("a session in which nothing happened, one that lives and one that ended leave no death", () => {
  const { runtime, claude: empty } = aChat();
  empty.start();
  empty.kill();
  const ended = anotherClaude(runtime, empty, { session: "ended-session" });
  ended.turn("fix it");
  ended.end();
  anotherClaude(runtime, empty, { session: "living-session" }).turn("fix it");
  expect(recordDeaths(runtime, () => true)).toBe(0);
  expect(deaths(runtime)).toEqual([]);
});

it("what was recorded of a life after its last sighting is above its death in the timeline, a later life below", () => {
  const { runtime, claude } = aChat();
  claude.prompt("fix the parser");
  claude.begin("Bash", { command: "make" });
  runtime.store.write((sql) => sql.run("UPDATE sessions SET lastSeenAt = lastSeenAt - 5"));
  claude.kill();
  claude.resume();
  claude.prompt("go on");
  const content = runtime.store.read((sql) => readContent(sql, claude.session), null);
  const kinds = content && timeline(content).filter(({ source }) => source === "journal" || source === "crash");
  expect(kinds?.map(({ kind }) => kind)).toEqual(["prompt", "tool_start", "killed", "start", "prompt"]);
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

it("a dead session that a tool call continues has its death recorded first", async () => {
  const { runtime, claude } = aChatKilledInMidTurn();
  const { call } = await connect(runtime, { clientPid: 4_000, serverPid: 4_001 });
  await call("shim_auto_checkpoint", { session: claude.session, doing: "going on" });
  expect(deaths(runtime)).toMatchObject([{ session: claude.session }]);
});

it("a new chat records the deaths of every project, the one that is not offered to it, too", () => {
  const runtime = tempRuntime();
  const elsewhere = aDeadClaude(runtime);
  expect(new Claude(runtime, { pid: 5_000, session: "new-session", cwd: aProject() }).start()).toBe("");
  expect(deaths(runtime)).toMatchObject([{ session: elsewhere.session }]);
});

it("the timer records a death once it has been seen for ten seconds: an end mark may be on its way", () => {
  const runtime = tempRuntime();
  const watch = new DeathWatch();
  const { session } = aDeadClaude(runtime);
  const found = [0, 1_000, 15_000].map((ms) => {
    runtime.wait(ms);
    watch.check(runtime);
    return deaths(runtime).map(({ session: sessionId }) => sessionId);
  });
  expect(found).toEqual([[], [], [session]]);
});

it("two processes that record at once record one death", () => {
  const runtime = tempRuntime();
  const beside = tempRuntime({ beside: runtime });
  const claude = aDeadClaude(runtime);
  const record = (one: TempRuntime): boolean => one.store.write((sql) => recordDeath(sql, one, claude.session));
  expect([record(runtime), record(beside)]).toEqual([true, false]);
  expect(rowCount(runtime, "crashes")).toBe(1);
});

it("an end mark that comes late shows that there was no death", () => {
  const runtime = tempRuntime();
  const claude = aDeadClaude(runtime);
  const end = claude.input("SessionEnd", { reason: "prompt_input_exit" });
  spoolEvent(runtime, {
    clientName: "claude-code",
    event: "SessionEnd",
    input: { ...end, session_id: claude.session },
    clientPid: claude.pid,
  });
  recordDeaths(runtime, () => true);
  expect(deaths(runtime)).toHaveLength(1);
  drainInto(runtime);
  expect(storedSession(runtime, claude.session).endReason).toBe("prompt_input_exit");
  expect(deaths(runtime)).toEqual([]);
});

it("retention deletes a session, and leaves its death behind", () => {
  const runtime = tempRuntime();
  const claude = aDeadClaude(runtime);
  // Dismissed without a record.
  runtime.store.write((sql) => sql.run("UPDATE sessions SET recovery = 'dismissed' WHERE id = ?", claude.session));
  runtime.wait(31 * 86_400_000);
  new Upkeep(runtime).run();
  expect(rowCount(runtime, "sessions")).toBe(0);
  expect(deaths(runtime)).toMatchObject([{ session: claude.session, cause: "killed" }]);
});

function actions(runtime: TempRuntime): unknown[] {
  return runtime.store.read((sql) => sql.all("SELECT action, bySession AS by FROM recoveries ORDER BY seq"), []);
}

it("an offer is stored with its score, and the death with its cause and last signals", () => {
  const { runtime, claude: dead } = aChatKilledInMidTurn();
  const found = offer(runtime, "next", { project: dead.cwd });
  expect(found).toMatchObject({
    more: 0,
    brief: { from: { cause: "killed", state: { prompts: [{}, { text: "and the lexer" }] } } },
  });
  const stored = { recovery: "offered", recoveryBy: "next", recoveryAt: runtime.now() };
  expect(storedSession(runtime, dead.session)).toMatchObject(stored);
  expect(actions(runtime)).toEqual([{ action: "offered", by: "next" }]);
  const death = { session: dead.session, cause: "killed", readings: { toolCalls: { value: 3 } } };
  expect(deaths(runtime)).toMatchObject([death]);
});

it("undo and dismissal are stored too; a session never offered cannot be undone", () => {
  const runtime = tempRuntime();
  const { session } = aDeadClaude(runtime);
  for (const done of [undo(runtime, session), undo(runtime, "unknown"), dismiss(runtime, "unknown")])
    expect(done).toBe(false);
  offer(runtime, "next", {});
  expect([undo(runtime, session), dismiss(runtime, session)]).toEqual([true, true]);
  expect(actions(runtime)).toMatchObject([{ action: "offered" }, { action: "undone" }, { action: "dismissed" }]);
  expect(offer(runtime, "next", {})).toBeNull();
});

it("a restoration is made of a session that lives, too: without a cause of death", () => {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  const session = storedSession(runtime, claude.session);
  const living = restore(runtime, session);
  expect(living).toMatchObject({ cause: null, causeDetail: "", head: { branch: "main" } });
  expect(living?.snapshot?.state).toBe("pending");
  expect(living && composeBrief(living, living.knownUntil).score.total).toBe(100);
  expect(restore(runtime, { ...session, id: "unknown" })).toBeNull();
});
