import { appendFileSync } from "node:fs";
import { expect, it } from "vitest";
import { dismiss, undo } from "#src/local-mcp/recovery/local-source.ts";
import { offer } from "#src/local-mcp/recovery/offers.ts";
import { restoration } from "#src/local-mcp/recovery/restoration.ts";
import * as history from "#src/local-mcp/signals/history.ts";
import { aProject, Claude, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";

function aDeadOne(runtime: TempRuntime): Claude {
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("fix the parser");
  claude.prompt("and the lexer");
  claude.kill();
  return claude;
}

function actions(runtime: TempRuntime): unknown[] {
  return runtime.store.read((sql) => sql.all("SELECT action, by_session AS by FROM recoveries ORDER BY seq"), []);
}

it("[RE117] an offer is stored with its score, and the death with its cause and last signals", () => {
  const runtime = tempRuntime();
  const dead = aDeadOne(runtime);
  const found = offer(runtime, "next", { project: dead.cwd });
  expect(found).toMatchObject({ more: 0, from: { cause: "killed", state: { lastPrompt: "and the lexer" } } });
  expect(storedSession(runtime, dead.session)).toMatchObject({
    recovery: "offered",
    recoveryBy: "next",
    recoveryAt: runtime.now(),
  });
  expect(actions(runtime)).toEqual([{ action: "offered", by: "next" }]);
  const [crash] = runtime.store.read((sql) => history.listCrashes(sql), []);
  expect(crash).toMatchObject({ sessionId: dead.session, cause: "killed", readings: { toolCalls: { value: 1 } } });
});

it("[RE117] [RE118] undo and dismissal are stored too; a session never offered cannot be undone", () => {
  const runtime = tempRuntime();
  const dead = aDeadOne(runtime);
  expect([undo(runtime, dead.session), undo(runtime, "unknown"), dismiss(runtime, "unknown")]).toEqual([
    false,
    false,
    false,
  ]);
  offer(runtime, "next", {});
  expect([undo(runtime, dead.session), dismiss(runtime, dead.session)]).toEqual([true, true]);
  expect(actions(runtime).map((row) => (row as { action: string }).action)).toEqual(["offered", "undone", "dismissed"]);
  expect(offer(runtime, "next", {})).toBeNull();
});

it("[RE13] the last words of a chat that stand only in its transcript come back too", () => {
  const runtime = tempRuntime();
  const dead = aDeadOne(runtime);
  const line = anAssistantLine({ content: [{ type: "text", text: "The lexer needs a new state." }] });
  appendFileSync(dead.transcript, `${line}\n{"type":"assistant","message":{"role":"assi`);
  const found = offer(runtime, "next", {});
  expect(found?.from.state.conversation.at(-1)?.text).toBe("The lexer needs a new state.");
});

it("[RE15] a restoration is made of a session that lives, too: without a cause of death", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("fix the parser");
  const session = storedSession(runtime, claude.session);
  const made = runtime.store.read((sql) => restoration(sql, runtime.processes, session, runtime.now()), null);
  expect(made).toMatchObject({
    cause: null,
    causeDetail: "",
    head: { branch: "main" },
    snapshot: { state: "pending" },
  });
  expect(made?.score.total).toBeGreaterThan(50);
  const unknown = { ...session, id: "unknown" };
  expect(runtime.store.read((sql) => restoration(sql, runtime.processes, unknown, runtime.now()), null)).toBeNull();
});
