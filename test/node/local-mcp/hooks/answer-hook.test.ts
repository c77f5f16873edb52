import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { hookEvents } from "#src/contract/hook-input.ts";
import { answerHook } from "#src/local-mcp/hooks/answer-hook.ts";
import { currentState } from "#src/local-mcp/checkpoints/capture.ts";
import { drainInto } from "#src/local-mcp/hooks/spool-hook.ts";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import type { Connection, OpenOptions } from "#src/store/driver.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import * as spool from "#src/store/spool.ts";
import { aProject, anotherClaude, Claude, journalKinds, rowCount, storedSession } from "#harness/machine/claude.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";
import { leaked, storedBytes, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "20487890-04b4-4fe0-bbd5-6aa531354563";

/** Lines that Claude Code 2.1.328 wrote to a hook's stdin, in their order. */
const realLines = [
  `{"session_id":"${session}","transcript_path":"/nonexistent/t.jsonl","cwd":"/nonexistent/proj","hook_event_name":"SessionStart","source":"startup"}`,
  `{"session_id":"${session}","transcript_path":"/nonexistent/t.jsonl","cwd":"/nonexistent/proj","prompt_id":"3d27c491-c698-43a9-bbf2-3b8974f07596","permission_mode":"default","hook_event_name":"UserPromptSubmit","prompt":"fix parser.ts"}`,
  `{"session_id":"${session}","cwd":"/nonexistent/proj","prompt_id":"3d27c491-c698-43a9-bbf2-3b8974f07596","permission_mode":"default","effort":{"level":"medium"},"hook_event_name":"PreToolUse","tool_name":"TaskCreate","tool_input":{"subject":"s","description":"d"},"tool_use_id":"toolu_1795162527463_6"}`,
  `{"session_id":"${session}","cwd":"/nonexistent/proj","prompt_id":"3d27c491-c698-43a9-bbf2-3b8974f07596","permission_mode":"default","effort":{"level":"medium"},"hook_event_name":"PostToolUse","tool_name":"TaskCreate","tool_input":{"subject":"s","description":"d"},"tool_response":{"task":{"id":"1","subject":"s","description":"d"}},"tool_use_id":"toolu_1795162527463_6","duration_ms":3}`,
  `{"session_id":"${session}","cwd":"/nonexistent/proj","prompt_id":"3d27c491-c698-43a9-bbf2-3b8974f07596","permission_mode":"default","effort":{"level":"medium"},"hook_event_name":"PostToolUseFailure","tool_name":"Bash","tool_input":{"command":"exit 3"},"tool_use_id":"toolu_1795162527631_10","error":"Exit code 3","is_interrupt":false,"duration_ms":9}`,
  `{"session_id":"${session}","cwd":"/nonexistent/proj","prompt_id":"3d27c491-c698-43a9-bbf2-3b8974f07596","permission_mode":"default","effort":{"level":"medium"},"hook_event_name":"Stop","stop_hook_active":false,"last_assistant_message":"All done with it.","background_tasks":[],"session_crons":[]}`,
  `{"session_id":"${session}","cwd":"/nonexistent/proj","prompt_id":"3d27c491-c698-43a9-bbf2-3b8974f07596","permission_mode":"default","hook_event_name":"SessionEnd","reason":"other"}`,
];

function tell(runtime: TempRuntime, line: string, pid = 1_000): string {
  const event = (JSON.parse(line) as { hook_event_name: string }).hook_event_name;
  return answerHook(runtime, event, () => line, pid);
}

it("[HO1] what Claude Code really sends becomes the session, its journal, its tasks and its end", () => {
  const runtime = tempRuntime({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  runtime.processes.start(1_000);
  expect(realLines.map((line) => tell(runtime, line))).toEqual(realLines.map(() => ""));
  expect(runtime.logged).toEqual([]);
  expect(journalKinds(runtime, session)).toEqual([
    "start",
    "prompt",
    "tool_start",
    "tool_end",
    "todo",
    "tool_error",
    "assistant",
    "turn_end",
    "end",
  ]);
  expect(storedSession(runtime, session)).toMatchObject({
    title: "fix parser.ts",
    project: "/nonexistent/proj",
    toolCalls: 2,
    toolErrors: 1,
    endReason: "other",
  });
});

function unreadable(): string {
  throw new Error("EAGAIN");
}

it("[HO1] input that is none is logged and changes nothing", () => {
  const runtime = tempRuntime();
  const inputs = ["", "{", "null", "[]", "7", '{"session_id":7}', "{}", `{"session_id":"${"x".repeat(201)}"}`];
  for (const input of inputs) expect(answerHook(runtime, "Stop", () => input, 1)).toBe("");
  expect(answerHook(runtime, "Nonsense", () => "{}", 1)).toBe("");
  expect(answerHook(runtime, "Stop", unreadable, 1)).toBe("");
  expect(answerHook(runtime, "Stop", () => `"${"x".repeat(32_000_001)}"`, 1)).toBe("");
  expect(runtime.logged).toHaveLength(inputs.length + 3);
  expect(rowCount(runtime, "sessions")).toBe(0);
});

/** A driver whose writes fail while `error` is set. */
function failing(): { readonly driver: (options: OpenOptions) => Connection; error: Error | null } {
  const switched: { error: Error | null } = { error: null };
  const driver = (options: OpenOptions): Connection => {
    const connection = openBetterSqlite3(options);
    return {
      ...connection,
      driver: connection.driver,
      all: (query, ...values) => connection.all(query, ...values),
      backup: (to) => connection.backup(to),
      close: () => connection.close(),
      run(query, ...values) {
        if (switched.error && query.startsWith("BEGIN IMMEDIATE")) throw switched.error;
        return connection.run(query, ...values);
      },
    };
  };
  return Object.assign(switched, { driver });
}

function sqliteError(code: string): Error {
  return Object.assign(new Error("refused"), { code });
}

it("[HO8] an event that the store does not take waits in the spool, redacted, and is applied at its time", () => {
  const disk = failing();
  const runtime = tempRuntime({ driver: disk.driver });
  const claude = new Claude(runtime);
  claude.start();
  disk.error = sqliteError("SQLITE_BUSY");
  expect(claude.prompt("use the token ghp_0123456789abcdefghijABCDEFGHIJ012345")).toEqual({});
  const at = runtime.now();
  expect(storedBytes(runtime.paths)).not.toContain("ghp_");
  runtime.wait(60_000);
  disk.error = null;
  expect(drainInto(runtime)).toBe(1);
  const rows = runtime.store.read((sql) => journal.list(sql, session, 0), []);
  expect(rows.at(-1)).toMatchObject({ at, entry: { kind: "prompt" } });
  expect(drainInto(runtime)).toBe(0);
});

it("[HO45] an event from the spool opens no ended session, makes no offer, and starts no tool that has ended", () => {
  const disk = failing();
  const runtime = tempRuntime({ driver: disk.driver });
  const first = new Claude(runtime, { cwd: aProject() });
  first.turn("fix the parser");
  first.kill();
  const second = anotherClaude(runtime, first);
  disk.error = sqliteError("SQLITE_BUSY");
  second.start();
  second.begin("Bash", { command: "sleep 1" });
  disk.error = null;
  second.done(`toolu_${second.session.slice(0, 8)}_1`, "Bash");
  second.end();
  const stored = storedSession(runtime, second.session);
  drainInto(runtime);
  expect(storedSession(runtime, second.session)).toMatchObject({
    endedAt: stored.endedAt,
    endReason: stored.endReason,
  });
  expect(storedSession(runtime, first.session).recovery).toBeNull();
  const kinds = journalKinds(runtime, second.session);
  expect(kinds.indexOf("tool_start")).toBeLessThan(kinds.indexOf("tool_end"));
  expect(runtime.store.read((sql) => currentState(sql, second.session)?.runningTools, null)).toEqual([]);
});

it("[HO46] a process that got the client's number since is not taken for it", () => {
  const disk = failing();
  const runtime = tempRuntime({ driver: disk.driver });
  const claude = new Claude(runtime);
  claude.turn("one");
  const { owner } = storedSession(runtime, session);
  disk.error = sqliteError("SQLITE_BUSY");
  claude.prompt("two");
  disk.error = null;
  runtime.processes.start(claude.pid);
  drainInto(runtime);
  expect(storedSession(runtime, session).owner).toEqual(owner);
});

it("[HO47] an entry of the spool that is no event, or fails for another reason than the store, stops nothing", () => {
  const runtime = tempRuntime();
  const input = { session_id: session, prompt: "kept", prompt_id: "p1" };
  const entries = [
    { event: "Nonsense", input },
    { event: "Stop", input: { session_id: 7 } },
    { event: "UserPromptSubmit", input, clientPid: "none" },
  ];
  for (const entry of entries) spool.append(runtime.paths.spool, { at: runtime.now(), clientPid: 1, ...entry });
  expect(drainInto(runtime)).toBe(3);
  expect(journalKinds(runtime, session)).toEqual(["prompt"]);
  expect(runtime.logged).toHaveLength(2);
});

it("[HO47] a bug in one event does not keep the others in the spool", () => {
  const disk = failing();
  const runtime = tempRuntime({ driver: disk.driver });
  new Claude(runtime).start();
  for (const prompt_id of ["p1", "p2"]) {
    const input = { session_id: session, prompt: "kept", prompt_id };
    spool.append(runtime.paths.spool, { at: runtime.now(), clientPid: 1, event: "UserPromptSubmit", input });
  }
  disk.error = new TypeError("a bug");
  expect(drainInto(runtime)).toBe(2);
  disk.error = sqliteError("SQLITE_FULL");
  spool.append(runtime.paths.spool, { at: runtime.now(), clientPid: 1, event: "Stop", input: { session_id: session } });
  expect(() => drainInto(runtime)).toThrow(/disk is full/);
  disk.error = null;
  expect(drainInto(runtime)).toBe(1);
});

it("[HO59] the user is notified when nothing can be saved, once a turn; a short lock is not reported", () => {
  const disk = failing();
  const runtime = tempRuntime({ driver: disk.driver });
  const claude = new Claude(runtime);
  claude.start();
  disk.error = sqliteError("SQLITE_FULL");
  expect(claude.prompt("one").systemMessage).toMatch(/SHIM cannot save: .*disk is full.*shim doctor/s);
  expect(claude.use("Bash")).toEqual({});
  expect(claude.stop()).toEqual({});
  disk.error = sqliteError("SQLITE_BUSY");
  expect(claude.prompt("two")).toEqual({});
});

it("[HO59] an event that not even the spool takes is lost, and this is said", () => {
  const disk = failing();
  const runtime = tempRuntime({ driver: disk.driver });
  const claude = new Claude(runtime);
  claude.start();
  mkdirSync(join(runtime.paths.spool, ".."), { recursive: true });
  writeFileSync(runtime.paths.spool, "a file where the folder should be");
  disk.error = sqliteError("SQLITE_BUSY");
  expect(claude.prompt("one").systemMessage).toContain("SHIM cannot save");
  expect(runtime.logged.some((line) => line.includes("is lost"))).toBe(true);
});

const events = fc.constantFrom(...hookEvents);
const fields = [
  "session_id",
  "transcript_path",
  "cwd",
  "prompt_id",
  "agent_id",
  "agent_type",
  "source",
  "model",
  "prompt",
  "tool_name",
  "tool_use_id",
  "tool_input",
  "tool_response",
  "duration_ms",
  "error",
  "trigger",
  "compact_summary",
  "last_assistant_message",
  "reason",
] as const;

function isSound(runtime: TempRuntime): boolean {
  return runtime.store.read(
    (sql) => sql.all<{ integrity_check: string }>("PRAGMA integrity_check")[0]?.integrity_check === "ok",
    true,
  );
}

it("[HO1] whatever a hook is given, it prints nothing or JSON that the client knows, and the store stays whole", () => {
  const runtime = tempRuntime();
  runtime.processes.start(1);
  const names = fc.constantFrom("Bash", "Write", "Read", "TodoWrite", "TaskCreate", "TaskUpdate", "mcp__x__y");
  const hostile = fc.oneof(
    fc.json({ maxDepth: 4 }).map((text): unknown => JSON.parse(text)),
    fc.constantFrom<unknown>(
      { toString: null },
      { todos: [{ content: { toString: 1 } }, null, 7] },
      { file_path: 7 },
      "\u0000",
      "\ud800",
    ),
    fc.record({
      todos: fc.array(fc.jsonValue()),
      subject: fc.jsonValue(),
      taskId: fc.jsonValue(),
      status: fc.jsonValue(),
    }),
    fc.record({ task: fc.jsonValue(), type: fc.jsonValue() }),
  );
  const input = fc.record(Object.fromEntries(fields.map((name) => [name, fc.oneof(hostile, fc.string(), names)])), {
    requiredKeys: [],
  });
  fc.assert(
    fc.property(events, input, fc.boolean(), fc.nat(2), (event, given, isNamed, pid) => {
      const text = JSON.stringify(isNamed ? { ...given, session_id: session } : given);
      const printed = answerHook(runtime, event, () => text, pid);
      if (printed === "") return;
      const keys = Object.keys(JSON.parse(printed) as object);
      expect(["systemMessage", "hookSpecificOutput"]).toEqual(expect.arrayContaining(keys));
    }),
    { numRuns: 400 },
  );
  expect(isSound(runtime)).toBe(true);
  expect(runtime.logged.filter((line) => !line.includes("hook did nothing"))).toEqual([]);
});

it("[HO6] a secret in any field of any event never reaches the disk", () => {
  const runtime = tempRuntime();
  runtime.processes.start(1);
  const samples = secretSamples(7);
  const tools = ["Bash", "Write", "TodoWrite", "TaskCreate", "TaskUpdate", "mcp__x__y"];
  let turn = 0;
  for (const event of hookEvents) {
    for (const name of fields) {
      for (const tool of name.startsWith("tool_") ? tools : ["Bash"]) {
        turn += 1;
        const { text } = samples[turn % samples.length] ?? { text: "" };
        const base = {
          session_id: session,
          prompt_id: `p${turn}`,
          tool_name: tool,
          tool_use_id: `t${turn}`,
          agent_type: "Explore",
        };
        const given = name === "tool_input" || name === "tool_response" ? toolValue(tool, text) : text;
        answerHook(runtime, event, () => JSON.stringify({ ...base, [name]: given }), 1);
      }
    }
  }
  expect(rowCount(runtime, "journal")).toBeGreaterThan(100);
  expect(rowCount(runtime, "checkpoints")).toBeGreaterThan(10);
  expect(
    leaked(
      runtime,
      samples.flatMap(({ secrets }) => secrets),
    ),
  ).toEqual([]);
});

function toolValue(tool: string, text: string): unknown {
  const values: Record<string, unknown> = {
    Bash: { command: text },
    Write: { file_path: `/w/${text}`, content: text, type: "create" },
    TodoWrite: { todos: [{ content: text, status: "pending" }] },
    TaskCreate: { subject: text, task: { id: "1", subject: text } },
    TaskUpdate: { taskId: "1", subject: text, status: text },
  };
  return values[tool] ?? { nested: [{ value: text }] };
}
