import * as fc from "fast-check";
import { expect, it } from "vitest";
import { HookInput, type HookEvent } from "#src/contract/hooks.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { parseInput } from "#src/local-mcp/events/read-event.ts";
import { idOf, limits, pathOf } from "#src/machine/sessions/entries.ts";
import { redactAndKeepEnds, boundTexts, redactAndClip, label } from "#src/redaction/bounded-text.ts";
import { describeInput, entriesOf } from "#src/machine/sessions/hook-entries.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";

function entries(event: HookEvent, fields: object): JournalEntry[] {
  const input = parseInput({ session_id: "s", prompt_id: "p", ...fields }, "a client") as HookInput;
  return entriesOf(event, input, () => "turn").map(({ entry }) => entry);
}

function keys(event: HookEvent, fields: object, turn = "turn"): string[] {
  return entriesOf(event, HookInput.parse({ session_id: "s", ...fields }), () => turn).map(({ key }) => key);
}

it.each([
  [" fix the parser \n", [{ kind: "prompt", text: "fix the parser" }]],
  ["<task-notification>a1 is done</task-notification>", []],
  ["  ", []],
  [undefined, []],
])("a prompt is what the user said, not what the client writes for itself: %j", (prompt, expected) => {
  expect(entries("UserPromptSubmit", { prompt })).toEqual(expected);
});

it.each([
  [{ command: "npm\n  test" }, "npm test"],
  [{ content: "long", file_path: "/a/b.ts" }, "/a/b.ts"],
  [{ notebook_path: "/n.ipynb" }, "/n.ipynb"],
  [{ path: "/harbour", pattern: "keel" }, "keel in /harbour"],
  [{ other: { deep: [1, "x"] } }, '{"other":{"deep":[1,"x"]}}'],
  [{ command: 7, password: "hunter2hunter2" }, expect.not.stringContaining("hunter2")],
  [undefined, "{}"],
  ["just a text", '"just a text"'],
  [{ command: "x".repeat(1_000) }, `${"x".repeat(limits.input)} [cut, ${1_000 - limits.input} more characters]`],
])(
  "a tool call is kept as one line: its command, path, pattern, query or address, else its input: %j",
  (input, line) => {
    const [entry] = entries("PreToolUse", { tool_name: "T", tool_use_id: "t1", tool_input: input });
    expect(entry).toMatchObject({ kind: "tool_start", input: line });
  },
);

it("a tool call without a name or an id cannot be distinguished from another and is left out; one of a subagent says so", () => {
  expect(entries("PreToolUse", { tool_name: "Bash" })).toEqual([]);
  expect(entries("PostToolUse", { tool_use_id: "t1" })).toEqual([]);
  expect(entries("PostToolUseFailure", {})).toEqual([]);
  const [entry] = entries("PreToolUse", { tool_name: "Bash", tool_use_id: "t1", agent_id: "a1" });
  expect(entry).toMatchObject({ name: "Bash (subagent)" });
});

const task = (tool: string, input: object, response?: unknown): unknown =>
  entries("PostToolUse", { tool_name: tool, tool_use_id: "t", tool_input: input, tool_response: response })[1];

it.each<[string, object, unknown, unknown?]>([
  ["Create", { subject: "write" }, { id: "1", text: "write", status: "pending" }, { task: { id: "1" } }],
  ["Create", {}, { id: "1", text: "task 1", status: "pending" }, { task: { id: "1" } }],
  ["Create", { subject: "write" }, undefined, "no id"],
  ["Update", { taskId: "1", status: "completed", subject: "new" }, { id: "1", text: "new", status: "completed" }],
  ["Update", { taskId: "1" }, { id: "1" }],
  ["Update", {}, undefined],
])("one task at a time is read: Task%s %j", (tool, input, todo, response) => {
  expect(task(`Task${tool}`, input, response)).toEqual(todo && { kind: "todo", todo });
});

const continued =
  "This session is being continued from a previous conversation that ran out of context. The summary below covers the earlier portion of the conversation.";
const transcriptHint =
  "If you need specific details from before compaction (like exact code snippets, error messages, or content you generated), read the full transcript at: /home/ann/.claude/projects/app/s.jsonl";

it.each([
  "Please continue the conversation from where we left it off without asking the user any further questions. Continue with the last task that you were asked to work on.",
  "Please continue the conversation from where we left off without asking the user any further questions.",
  "Recent messages are preserved verbatim.\nContinue the conversation from where it left off without asking the user any further questions. Resume directly.",
  "",
])("of the client's summary its reasoning and its instructions to the model are left out: %s", (instruction) => {
  const work =
    "1. Primary Request:\n   Summary: sort the imports.\n\n9. Optional Next Step:\n   Continue the conversation about the lexer.";
  const stored = [{ kind: "compacted", summary: work }];
  const analysis = "Analysis:\nLet me go through it.\n1. Request:\n   sort";
  for (const begin of [`${continued}\n\n${analysis}\n\n`, `${continued}\n${analysis}\n\n`, `${continued}\n\n`, ""]) {
    const text = `${begin}Summary:\n${work}\n\n${transcriptHint}\n${instruction}`;
    expect(entries("PostCompact", { compact_summary: text })).toEqual(stored);
  }
});

it("keys come from the client's ids; where an event has none, from its turn and its words", () => {
  const call = { tool_name: "B", tool_use_id: "t1" };
  expect(keys("PreToolUse", call)).toEqual(["start:t1"]);
  expect(keys("PostToolUse", call)).toEqual(keys("PostToolUseFailure", call));
  const prompt = (text: string, turn?: string): string[] => keys("UserPromptSubmit", { prompt: text }, turn);
  expect(prompt("go on")).toEqual(prompt("go on"));
  expect(prompt("go on")).not.toEqual(prompt("go on", "next"));
  expect(prompt("go on")).not.toEqual(prompt("stop"));
  expect(keys("SubagentStop", { agent_type: "Explore" })[0]).toContain("turn");
  expect([keys("SessionStart", {}), keys("SessionEnd", {})]).toEqual([[], []]);
});

it("a text that is kept has no secret in it, wherever its cut falls, and says how much is missing", () => {
  for (const { text, secrets } of secretSamples(11)) {
    for (const max of [100, limits.input]) {
      for (const before of [0, max - 20, max * 4 - 10, max * 4 + 3_990]) {
        const kept = redactAndClip(`${"word ".repeat(Math.ceil(before / 5)).slice(0, before)}${text}`, max);
        expect(secrets.filter((secret) => kept.includes(secret))).toEqual([]);
      }
    }
  }
});

it("a secret that is cut in two by the window is not kept in halves, also when much before it was taken out", () => {
  const token = `ghp_${"a1B2".repeat(9)}`;
  const text = `<private>${"p".repeat(4_800)}</private>`.slice(0, 5_190) + " ".repeat(370) + token;
  const kept = redactAndClip(text, 300);
  expect(kept).not.toMatch(/ghp_/);
  expect(kept).not.toMatch(/ppp/);
});

it("bounded texts are never longer than their limit and its mark, and count what is left out", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9_000 }), fc.integer({ min: 1, max: 500 }), (length, max) => {
      const text = "word ".repeat(Math.ceil(length / 5)).slice(0, length);
      const kept = redactAndClip(text, max);
      const cut = `${text.slice(0, max)} [cut, ${length - max} more characters]`;
      expect(kept).toBe(length <= max ? text : cut);
    }),
  );
});

const ends = { head: 300, tail: 200 };

it("both ends of a long text have no secret in them, wherever the cuts fall", () => {
  for (const { text, secrets } of secretSamples(11)) {
    for (const around of [280, 190, 3_000, 60_000]) {
      for (const padding of [0, 15, 3_990]) {
        const filler = "word ".repeat(Math.ceil(around / 5)).slice(0, around);
        const kept = redactAndKeepEnds(`${filler}\n${text}\n${filler}${" ".repeat(padding)}`, ends);
        expect(secrets.filter((secret) => kept.includes(secret))).toEqual([]);
      }
    }
  }
});

it.each([2_000, 200_000])("what is private in the cut part of %i characters is not kept in halves", (length) => {
  const kept = redactAndKeepEnds(
    `Fix it. <private>${"p".repeat(length)}</private> ${"Then test it. ".repeat(60)}`,
    ends,
  );
  expect(kept).not.toMatch(/pp|private>/);
  expect(kept).toMatch(/^Fix it\. \[private\] Then test it\..*Then test it\.\s*$/s);
  const token = `ghp_${"a1B2".repeat(9)}`;
  const tokens = redactAndKeepEnds(`${token} `.repeat(length / 40), ends);
  expect(tokens).not.toMatch(/ghp_|a1B2/);
});

it("an id is kept as it is when it can be one; else it is stored as its digest, the same each time", () => {
  const uuid = "20487890-04b4-4fe0-bbd5-6aa531354563";
  const real = [uuid, "toolu_1795162526340_2", "agent-a0b5", "toolu_01A2b3C4d5E6f7G8h9J0k1L2"];
  expect(real.map(idOf)).toEqual(real);
  const odd = ["", "a\nb", "x".repeat(201), "</fence>", `ghp_${"a1B2".repeat(9)}`];
  for (const id of odd) expect(idOf(id)).toMatch(/^id_[\da-f]{16}$/);
  expect(new Set(odd.map(idOf)).size).toBe(odd.length);
  expect(label("a\n b")).toBe("a b");
  const path = `/home/ann/.claude/projects/-home-ann-app/${uuid}.jsonl`;
  expect(pathOf(path)).toBe(path);
});

it("no half of a secret that a limit cuts in two is stored with a tool's input", () => {
  const token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
  // What is redacted before it moves the half that was cut into the part that is kept.
  const redacted = "password=hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2 ".repeat(13);
  for (let more = 0; more < 80; more += 8) {
    expect(describeInput({ other: `${redacted}${"x ".repeat(more / 2)}${token} and more` })).not.toContain("ghp_");
  }
  // Private text leaves so little that the end of what is read is kept.
  for (let chars = 5_100; chars < 5_220; chars += 5) {
    const text = `<private>${"x".repeat(chars)}</private> ${token} ${"and more ".repeat(200)}`;
    expect(describeInput({ command: text })).not.toContain("ghp_");
  }
});

it("what is nested too deep, or too long a list, is left out", () => {
  let deep: unknown = "x";
  for (let level = 0; level < 100; level++) deep = [deep];
  expect(JSON.stringify(boundTexts(deep, 5)).length).toBeLessThan(200);
  expect(boundTexts({ a: ["123456", 7, null, true], b: Array.from({ length: 1_001 }, () => 0) }, 5)).toEqual({
    a: ["12345 [cut, 1 more characters]", 7, null, true],
    b: Array.from({ length: 1_000 }, () => 0),
  });
});
