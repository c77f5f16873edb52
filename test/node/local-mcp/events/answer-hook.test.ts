import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { hookEvents } from "#src/contract/hook-input.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { journalKinds, rowCount, storedSession } from "#harness/machine/claude.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";
import { leaked, tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "20487890-04b4-4fe0-bbd5-6aa531354563";

const prompt = `"prompt_id":"3d27c491-c698-43a9-bbf2-3b8974f07596",`;

/** Lines that Claude Code 2.1.328 wrote to a hook's stdin, in their order, without what they have in common. */
const realLines = [
  `"transcript_path":"/nonexistent/t.jsonl","hook_event_name":"SessionStart","source":"startup"}`,
  `"transcript_path":"/nonexistent/t.jsonl","permission_mode":"default","hook_event_name":"UserPromptSubmit","prompt":"fix parser.ts"}`,
  `"effort":{"level":"medium"},"hook_event_name":"PreToolUse","tool_name":"TaskCreate","tool_input":{"subject":"s","description":"d"},"tool_use_id":"toolu_1795162527463_6"}`,
  `"effort":{"level":"medium"},"hook_event_name":"PostToolUse","tool_name":"TaskCreate","tool_input":{"subject":"s","description":"d"},"tool_response":{"task":{"id":"1","subject":"s","description":"d"}},"tool_use_id":"toolu_1795162527463_6","duration_ms":3}`,
  `"effort":{"level":"medium"},"hook_event_name":"PostToolUseFailure","tool_name":"Bash","tool_input":{"command":"exit 3"},"tool_use_id":"toolu_1795162527631_10","error":"Exit code 3","is_interrupt":false,"duration_ms":9}`,
  `"effort":{"level":"medium"},"hook_event_name":"Stop","stop_hook_active":false,"last_assistant_message":"All done with it.","background_tasks":[],"session_crons":[]}`,
  `"permission_mode":"default","hook_event_name":"SessionEnd","reason":"other"}`,
].map((line, n) => `{"session_id":"${session}","cwd":"/nonexistent/proj",${n === 0 ? "" : prompt}${line}`);

it("what Claude Code really sends becomes the session, its journal, its tasks and its end", () => {
  const runtime = tempRuntime({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  runtime.processes.start(1_000);
  for (const line of realLines) {
    const { hook_event_name: event } = JSON.parse(line) as { hook_event_name: string };
    expect(answerHook(runtime, event, () => line, 1_000)).toBe("");
  }
  expect(runtime.logged).toEqual([]);
  expect(journalKinds(runtime, session).join(" ")).toBe(
    "start prompt tool_start tool_end todo tool_error assistant turn_end end",
  );
  const told = { title: "fix parser.ts", project: "/nonexistent/proj", endReason: "other" };
  expect(storedSession(runtime, session)).toMatchObject({ ...told, toolCalls: 2, toolErrors: 1 });
});

it("input that is none is logged, without a secret, and changes nothing", () => {
  const runtime = tempRuntime();
  const inputs = ["", "{", "null", "[]", "7", '{"session_id":7}', "{}", `{"session_id":"${"x".repeat(201)}"}`];
  for (const input of [...inputs, `"${"x".repeat(32_000_001)}"`])
    expect(answerHook(runtime, "Stop", () => input, 1)).toBe("");
  expect(answerHook(runtime, "Stop", () => readFileSync("/nonexistent", "utf8"), 1)).toBe("");
  expect(answerHook(runtime, "x ghp_0123456789abcdefghijABCDEFGHIJ012345", () => "{}", 1)).toBe("");
  expect(runtime.logged).toHaveLength(inputs.length + 3);
  expect(runtime.logged.at(-1)).toContain("unknown hook event");
  expect(runtime.logged.join()).not.toContain("ghp_");
  expect(rowCount(runtime, "sessions")).toBe(0);
});

const events = fc.constantFrom(...hookEvents);
const fields = [
  ["session_id", "transcript_path", "cwd", "prompt_id", "agent_id", "agent_type", "source", "model", "prompt"],
  ["tool_name", "tool_use_id", "tool_input", "tool_response", "duration_ms", "error", "trigger", "compact_summary"],
  ["last_assistant_message", "reason"],
].flat();

it("for any input a hook prints nothing or JSON that the client knows, and the store stays whole @night", () => {
  const runtime = tempRuntime();
  runtime.processes.start(1);
  const names = fc.constantFrom("Bash", "Write", "Read", "TodoWrite", "TaskCreate", "TaskUpdate", "mcp__x__y");
  const [any, odd] = [fc.jsonValue(), { content: { toString: 1 } }];
  const hostile = fc.oneof(
    fc.json({ maxDepth: 4 }).map((text): unknown => JSON.parse(text)),
    fc.constantFrom<unknown>({ toString: null }, { todos: [odd, null, 7] }, { file_path: 7 }, "\u0000", "\ud800"),
    fc.record({ todos: fc.array(any), subject: any, taskId: any, status: any }),
    fc.record({ task: any, type: any }),
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
  const rows = runtime.store.read((sql) => sql.all("PRAGMA integrity_check"), []);
  expect(rows).toEqual([{ integrity_check: "ok" }]);
  expect(runtime.logged.filter((line) => !line.includes("the input of a hook could not be read"))).toEqual([]);
});

it("a secret in any field of any event never reaches the disk @night", () => {
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
        const given = name === "tool_input" || name === "tool_response" ? toolValue(tool, text) : text;
        const ids = { session_id: session, prompt_id: `p${turn}`, tool_use_id: `t${turn}` };
        const input = { ...ids, tool_name: tool, agent_type: "Explore", [name]: given };
        answerHook(runtime, event, () => JSON.stringify(input), 1);
      }
    }
  }
  expect(rowCount(runtime, "journal")).toBeGreaterThan(100);
  expect(rowCount(runtime, "checkpoints")).toBeGreaterThan(10);
  const secrets = samples.flatMap((sample) => sample.secrets);
  expect(leaked(runtime, secrets)).toEqual([]);
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
