import * as fc from "fast-check";
import { expect, it } from "vitest";
import { HookInput, type HookEvent } from "#src/contract/hook-input.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { cleanInput } from "#src/local-mcp/hooks/answer-hook.ts";
import { boundTexts, redactAndClip, idOf, label, limits, pathOf } from "#src/local-mcp/sessions/entries.ts";
import { describeInput, entriesOf } from "#src/local-mcp/sessions/hook-entries.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";

function told(event: HookEvent, fields: object): JournalEntry[] {
  const input = cleanInput(HookInput.parse({ session_id: "s", prompt_id: "p", ...fields }));
  return entriesOf(event, input, "turn").map(({ entry }) => entry);
}

function keys(event: HookEvent, fields: object, turn = "turn"): string[] {
  return entriesOf(event, HookInput.parse({ session_id: "s", ...fields }), turn).map(({ key }) => key);
}

it("[JO6] a prompt is what the user said: not what the client writes for itself, not nothing", () => {
  expect(told("UserPromptSubmit", { prompt: " fix the parser \n" })).toEqual([
    { kind: "prompt", text: "fix the parser" },
  ]);
  expect(told("UserPromptSubmit", { prompt: "<task-notification>a1 is done</task-notification>" })).toEqual([]);
  expect(told("UserPromptSubmit", { prompt: "  " })).toEqual([]);
  expect(told("UserPromptSubmit", {})).toEqual([]);
});

function line(input: unknown): unknown {
  const [entry] = told("PreToolUse", { tool_name: "T", tool_use_id: "t1", tool_input: input });
  return entry?.kind === "tool_start" ? entry.input : null;
}

it("[JO7] of a tool call one line is kept that tells what it is about: its command, path, pattern, query or address, else its input", () => {
  expect(line({ command: "npm\n  test" })).toBe("npm test");
  expect(line({ content: "long", file_path: "/a/b.ts" })).toBe("/a/b.ts");
  expect(line({ notebook_path: "/n.ipynb" })).toBe("/n.ipynb");
  expect(line({ other: { deep: [1, "x"] } })).toBe('{"other":{"deep":[1,"x"]}}');
  expect(line({ command: 7, password: "hunter2hunter2" })).not.toContain("hunter2");
  expect(line(undefined)).toBe("{}");
  expect(line("just a text")).toBe('"just a text"');
  expect(line({ command: "x".repeat(1_000) })).toBe(
    `${"x".repeat(limits.input)} [cut, ${1_000 - limits.input} more characters]`,
  );
});

it("[JO7] a tool call without a name or an id cannot be told from another and is left out; one of a subagent says so", () => {
  expect(told("PreToolUse", { tool_name: "Bash" })).toEqual([]);
  expect(told("PostToolUse", { tool_use_id: "t1" })).toEqual([]);
  expect(told("PostToolUseFailure", {})).toEqual([]);
  const [entry] = told("PreToolUse", { tool_name: "Bash", tool_use_id: "t1", agent_id: "a1" });
  expect(entry).toMatchObject({ name: "Bash (subagent)" });
});

function file(tool: string, input: object, response?: unknown): unknown {
  const call = { tool_name: tool, tool_use_id: "t1", tool_input: input, tool_response: response };
  const [entry] = told("PostToolUse", call);
  return entry?.kind === "tool_end" ? [entry.path, entry.action] : null;
}

it("[JO8] the files that a tool has read, written or made are noted", () => {
  expect(file("Read", { file_path: "/a" })).toEqual(["/a", "read"]);
  expect(file("Edit", { file_path: "/a" })).toEqual(["/a", "edited"]);
  expect(file("NotebookEdit", { notebook_path: "/n" })).toEqual(["/n", "edited"]);
  expect(file("Write", { file_path: "/a" }, { type: "update" })).toEqual(["/a", "edited"]);
  expect(file("Write", { file_path: "/a" }, { type: "create" })).toEqual(["/a", "created"]);
  expect(file("Bash", { file_path: "/a" })).toEqual([undefined, undefined]);
  expect(file("Write", { file_path: 7 })).toEqual([undefined, undefined]);
});

it("[JO9] both ways of keeping a list of tasks are read: the whole list, and one task at a time", () => {
  const all = [
    { content: "one", status: "completed" },
    { content: "two", status: "in_progress" },
    { subject: "three" },
  ];
  expect(told("PostToolUse", { tool_name: "TodoWrite", tool_use_id: "t", tool_input: { todos: all } })[1]).toEqual({
    kind: "todos",
    todos: [
      { text: "one", status: "completed" },
      { text: "two", status: "in_progress" },
      { text: "three", status: "pending" },
    ],
  });
  const task = (tool: string, input: object, response?: unknown): unknown =>
    told("PostToolUse", { tool_name: tool, tool_use_id: "t", tool_input: input, tool_response: response })[1];
  expect(task("TaskCreate", { subject: "write" }, { task: { id: "1" } })).toMatchObject({
    todo: { id: "1", text: "write", status: "pending" },
  });
  expect(task("TaskCreate", {}, { task: { id: "1" } })).toMatchObject({ todo: { text: "task 1" } });
  expect(task("TaskCreate", { subject: "write" }, "no id")).toBeUndefined();
  expect(task("TaskUpdate", { taskId: "1", status: "completed", subject: "new" })).toMatchObject({
    todo: { id: "1", text: "new", status: "completed" },
  });
  expect(task("TaskUpdate", { taskId: "1" })).toEqual({ kind: "todo", todo: { id: "1" } });
  expect(task("TaskUpdate", { taskId: "1", status: "deleted" })).toEqual({ kind: "todo_removed", id: "1" });
  expect(task("TaskUpdate", {})).toBeUndefined();
});

it("[JO10] the summariser of a compaction is no subagent, and its thoughts are not its summary", () => {
  expect(
    told("SubagentStop", { agent_id: "a", agent_type: "", last_assistant_message: "<summary>x</summary>" }),
  ).toEqual([]);
  expect(told("SubagentStop", { agent_id: "a", agent_type: "Explore" })).toEqual([{ kind: "subagent_end", text: "" }]);
  const summary = "<analysis>no\nno</analysis>\n<summary>yes</summary>";
  expect(told("PostCompact", { compact_summary: summary })).toEqual([{ kind: "compacted", summary: "yes" }]);
  expect(told("PostCompact", {})).toEqual([]);
  expect(told("PreCompact", {})).toEqual([{ kind: "compacting", trigger: "unknown" }]);
});

it("[JO11] a failed turn is kept with the kind of the error and the client's words", () => {
  const fields = { error: "rate_limit", last_assistant_message: "API Error: 429" };
  expect(told("StopFailure", fields)).toEqual([{ kind: "failure", text: "rate_limit: API Error: 429" }]);
  expect(told("StopFailure", {})).toEqual([{ kind: "failure", text: "unknown error" }]);
  expect(told("Stop", {})).toEqual([{ kind: "turn_end" }]);
});

it("[JO5] keys come from the client's ids; where an event has none, from its turn and its words", () => {
  expect(keys("PreToolUse", { tool_name: "B", tool_use_id: "t1" })).toEqual(["start:t1"]);
  expect(keys("PostToolUse", { tool_name: "B", tool_use_id: "t1" })).toEqual(
    keys("PostToolUseFailure", { tool_name: "B", tool_use_id: "t1" }),
  );
  const prompt = { prompt: "go on" };
  expect(keys("UserPromptSubmit", prompt)).toEqual(keys("UserPromptSubmit", prompt));
  expect(keys("UserPromptSubmit", prompt)).not.toEqual(keys("UserPromptSubmit", prompt, "next"));
  expect(keys("UserPromptSubmit", prompt)).not.toEqual(keys("UserPromptSubmit", { prompt: "stop" }));
  expect(keys("SubagentStop", { agent_type: "Explore" })[0]).toContain("turn");
  expect([keys("SessionStart", {}), keys("SessionEnd", {})]).toEqual([[], []]);
});

it("[JO3] a text that is kept has no secret in it, wherever its cut falls, and says how much is missing", () => {
  for (const { text, secrets } of secretSamples(11)) {
    for (const max of [100, limits.input]) {
      for (const before of [0, max - 20, max * 4 - 10, max * 4 + 3_990]) {
        const kept = redactAndClip(`${"word ".repeat(Math.ceil(before / 5)).slice(0, before)}${text}`, max);
        expect(secrets.filter((secret) => kept.includes(secret))).toEqual([]);
      }
    }
  }
});

it("[JO3] a secret that is cut in two by the window is not kept in halves, also when much before it was taken out", () => {
  const token = `ghp_${"a1B2".repeat(9)}`;
  const text = `<private>${"p".repeat(4_800)}</private>`.slice(0, 5_190) + " ".repeat(370) + token;
  const kept = redactAndClip(text, 300);
  expect(kept).not.toMatch(/ghp_/);
  expect(kept).not.toMatch(/ppp/);
});

it("[JO3] bounded texts are never longer than their limit and its mark, and count what is left out", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9_000 }), fc.integer({ min: 1, max: 500 }), (length, max) => {
      const text = "word ".repeat(Math.ceil(length / 5)).slice(0, length);
      const kept = redactAndClip(text, max);
      const cut = `${text.slice(0, max)} [cut, ${length - max} more characters]`;
      expect(kept).toBe(length <= max ? text : cut);
    }),
  );
});

it("[HO43] an id is kept as it is when it can be one; else it is stored as its digest, the same each time", () => {
  const real = [
    "20487890-04b4-4fe0-bbd5-6aa531354563",
    "toolu_1795162526340_2",
    "agent-a0b5",
    "toolu_01A2b3C4d5E6f7G8h9J0k1L2",
  ];
  expect(real.map(idOf)).toEqual(real);
  const odd = ["", "a\nb", "x".repeat(201), "</fence>", `ghp_${"a1B2".repeat(9)}`];
  for (const id of odd) expect(idOf(id)).toMatch(/^id_[\da-f]{16}$/);
  expect(new Set(odd.map(idOf)).size).toBe(odd.length);
  expect(label("a\n b")).toBe("a b");
  const path = "/home/ann/.claude/projects/-home-ann-app/20487890-04b4-4fe0-bbd5-6aa531354563.jsonl";
  expect(pathOf(path)).toBe(path);
});

it("[HO6] no half of a secret that a limit cuts in two is stored with a tool's input", () => {
  const token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
  // What is redacted before it moves the half that was cut into the part that is kept.
  const redacted = "password=hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2 ".repeat(13);
  for (let more = 0; more < 80; more += 8) {
    expect(describeInput({ other: `${redacted}${"x ".repeat(more / 2)}${token} and more` })).not.toContain("ghp_");
  }
});

it("[HO44] what is nested too deep, or too long a list, is left out", () => {
  let deep: unknown = "x";
  for (let level = 0; level < 100; level++) deep = [deep];
  expect(JSON.stringify(boundTexts(deep, 5)).length).toBeLessThan(200);
  expect(boundTexts({ a: ["123456", 7, null, true], b: Array.from({ length: 1_001 }, () => 0) }, 5)).toEqual({
    a: ["12345 [cut, 1 more characters]", 7, null, true],
    b: Array.from({ length: 1_000 }, () => 0),
  });
});
