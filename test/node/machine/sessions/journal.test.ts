import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import { stored } from "#src/contract/limits.ts";
import type { WorkState, TodoItem } from "#src/contract/work-state.ts";
import type { JournalRow } from "#src/machine/sessions/journal.ts";
import { life, newLife } from "#src/machine/sessions/life/life.ts";
import { emptyState, fold, withNotes } from "#src/machine/sessions/work-state.ts";
import { T0 } from "#harness/store/store-test.ts";
import { HookInput, type HookEvent } from "#src/contract/hooks.ts";
import { parseInput } from "#src/local-mcp/events/read-event.ts";
import { idOf, pathOf } from "#src/machine/sessions/entries.ts";
import { boundTexts } from "#src/redaction/redact-json.ts";
import { redactAndKeepEnds, redactAndClip, label } from "#src/redaction/redact.ts";
import { wholeLength } from "#src/shared/shorten.ts";
import { describeInput, entriesOf } from "#src/machine/sessions/hook-entries.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";

function stateAfter(...entries: JournalEntry[]): WorkState {
  const rows = entries.map((entry, index) => ({ seq: index + 1, at: T0 + index, entry }));
  return { ...fold(emptyState, rows), life: life(newLife, rows) };
}

function foldOn(state: WorkState, row: JournalRow): WorkState {
  return { ...fold(state, [row]), life: life(state.life, [row]) };
}

const user = (text: string): JournalEntry => ({ kind: "prompt", text });
const chat = (text: string): JournalEntry => ({ kind: "assistant", text });
const begun = (id: string): JournalEntry => ({ kind: "tool_start", id, name: "Bash", input: id });
const ended = (id: string): JournalEntry => ({ kind: "tool_end", id, name: "Bash", input: id });
const touched = (path: string, action: "read" | "edited"): JournalEntry => {
  return { kind: "tool_end", id: path, name: "Edit", input: path, path, action };
};

const running = (...entries: JournalEntry[]): string[] => stateAfter(...entries).life.calls.map((tool) => tool.id);

it("a tool runs from its start to its end, its error, the end of the turn or the first prompt of a client that goes on with the session", () => {
  expect(running(begun("a"), begun("b"), ended("a"))).toEqual(["b"]);
  expect(running(begun("a"), { kind: "tool_error", id: "a", name: "Bash", input: "a", text: "no" })).toEqual([]);
  expect(running(begun("a"), { kind: "turn_end" })).toEqual([]);
  expect(running(begun("a"), { kind: "end", reason: "other" })).toEqual([]);
  expect(running(begun("a"), user("and the docs"))).toEqual(["a"]);
  expect(running(begun("a"), { kind: "start", source: "resume" })).toEqual(["a"]);
  expect(running(begun("a"), { kind: "start", source: "resume" }, user("go on"))).toEqual([]);
  expect(running(begun("a"), begun("a"))).toEqual(["a"]);
});

it.each(["Exit code 144", "[Request interrupted by user for tool use]", "Exit code 2"])(
  "a call that ends with '%s' as the client is asked to end is unfinished, unless it had failed by itself",
  (text) => {
    const failed: JournalEntry = { kind: "tool_error", id: "a", name: "Bash", input: "make", text: "Exit code 2" };
    const ended: JournalEntry = { kind: "tool_error", id: "b", name: "Bash", input: "make test", text };
    const detached: JournalEntry = { kind: "detached", reason: "interrupted" };
    const before = stateAfter(failed, begun("b"), ended);
    const at = (ms: number): WorkState => foldOn(before, { seq: 9, at: T0 + 2 + ms, entry: detached });
    const isInterrupted = text !== "Exit code 2";
    expect(at(3_000)).toMatchObject({
      life: { calls: isInterrupted ? [{ id: "b" }] : [] },
      calls: [{ input: "make", error: "Exit code 2" }, { input: "make test" }].slice(0, isInterrupted ? 1 : 2),
    });
    expect(at(3_001).life.calls).toEqual([]);
    expect(running(begun("b"), ended, user("stop that"), detached)).toEqual([]);
    expect(running(begun("b"), ended, { kind: "turn_end" }, detached)).toEqual([]);
  },
);

function stopped(id: string): JournalEntry {
  return { kind: "tool_error", id, name: "Bash", input: `make ${id}`, text: "Exit code 144" };
}

it("all calls that were stopped together are unfinished; a failure of the client after them stays", () => {
  const detached: JournalEntry = { kind: "detached", reason: "interrupted" };
  const both = stateAfter(begun("a"), begun("b"), stopped("a"), stopped("b"), detached);
  expect(both).toMatchObject({ life: { calls: [{ id: "a", startedAt: T0 }, { id: "b" }], stopped: [] }, calls: [] });
  const failed: JournalEntry = { kind: "failure", text: "overloaded" };
  const state = stateAfter(begun("a"), stopped("a"), failed, detached);
  expect(state).toMatchObject({
    life: { turn: { over: { how: "failed", text: "overloaded", at: T0 + 2 } }, calls: [{ id: "a" }] },
  });
});

it("an interruption ends what ran, and its time is kept like the end of a turn", () => {
  const state = stateAfter(user("paint it"), begun("a"), { kind: "interrupted" });
  expect(state.life).toMatchObject({ calls: [], turn: { over: { at: T0 + 2, how: "interrupted" } } });
  const { life: done } = stateAfter(begun("a"), { kind: "turn_end" });
  expect(done).toMatchObject({ turn: { over: { at: T0 + 1, how: "done" } } });
});

it("the chat's words stand by their own time: a text that is read after the end of its turn is not the last", () => {
  const said = [0, 9, 5].map((ms) => ({ seq: ms + 1, at: T0 + ms, entry: chat(`said at ${ms}`) }));
  expect(fold(emptyState, said).words.map(({ text }) => text)).toEqual(["said at 0", "said at 5", "said at 9"]);
});

it("an edit after the checkpoint makes its hash void, for another edit would be the same; reading does not", () => {
  const base: WorkState = { ...emptyState, files: [{ path: "/a", hash: "h", action: "edited" }] };
  const after = (action: "read" | "edited") => fold(base, [{ seq: 1, at: T0, entry: touched("/a", action) }]).files;
  expect(after("read")).toEqual(base.files);
  expect(after("edited")).toMatchObject([{ hash: null, skipped: "no checkpoint since its last edit" }]);
});

it("tasks: a whole list replaces, a single one changes or joins, a deleted one goes", () => {
  const list: JournalEntry = { kind: "todos", todos: [{ text: "old", status: "pending" }] };
  const one: JournalEntry = { kind: "todo", todo: { id: "1", text: "one", status: "pending" } };
  const done: JournalEntry = { kind: "todo", todo: { id: "1", status: "completed" } };
  expect(stateAfter(one, list).todos).toEqual([{ text: "old", status: "pending" }]);
  expect(stateAfter(one, done).todos).toEqual([{ id: "1", text: "one", status: "completed" }]);
  expect(stateAfter(done).todos).toEqual([{ id: "1", text: "task 1", status: "completed" }]);
  expect(stateAfter(one, { kind: "todo_removed", id: "1" }).todos).toEqual([]);
});

/** Each begins with its status. */
function list(...texts: string[]): JournalEntry {
  const todos = texts.map((text) => {
    return { text: text.slice(2), status: text.startsWith("x") ? "completed" : "pending" } as const;
  });
  return { kind: "todos", todos };
}

function droppedAfter(...entries: JournalEntry[]): string[] | undefined {
  return stateAfter(...entries).droppedTodos?.map(({ text }) => text);
}

it("a to-do that was open when the next list leaves it out is dropped, unless that has it in other words", () => {
  const first = list("- paint the hull red", "x buy paint", "- sand the mast", "- oil the winch");
  const next = list("- paint the hull blue", "- launch it");
  expect(droppedAfter(first)).toBeUndefined();
  expect(droppedAfter(first, next)).toEqual(["sand the mast", "oil the winch"]);
  const third = list("- sand the mast");
  expect(droppedAfter(first, next, third)).toEqual(["oil the winch", "paint the hull blue", "launch it"]);
});

const failing = { id: "f", name: "Bash", input: "npm test" };
const fails: JournalEntry = {
  kind: "tool_error",
  ...failing,
  text: "Exit code 1\n\n> test\nError: pier is full\n1 failed",
};
const passes: JournalEntry = { kind: "tool_end", ...failing, id: "p" };
const edits = (path: string, action: "read" | "edited" = "edited"): JournalEntry => {
  return { kind: "tool_end", id: path, name: "Edit", input: path, path, action };
};

it.each<[string, JournalEntry[], object[] | undefined]>([
  [
    "passed after edits",
    [fails, edits("/a"), edits("/b"), edits("/c", "read"), passes],
    [{ files: ["/a", "/b"], passedAt: T0 + 4 }],
  ],
  [
    "failed again between",
    [fails, edits("/a"), fails, edits("/b"), passes],
    [{ files: ["/a", "/b"], passedAt: T0 + 4 }],
  ],
  ["failed still", [fails, edits("/a"), { ...passes, exitCode: 1 }], [{ files: ["/a"] }]],
  ["passed without an edit", [fails, passes, edits("/a")], []],
  ["passed perhaps", [fails, edits("/a"), { ...passes, hidesFailure: true }], [{ files: ["/a"] }]],
  ["ran no tests", [fails, edits("/a"), { ...passes, output: "> test / no tests found" }], [{ files: ["/a"] }]],
  ["was refused", [{ ...fails, isRefused: true }, edits("/a")], undefined],
  ["was no command", [{ ...fails, name: "Edit" }, edits("/a")], undefined],
])("a command that %s is known with its error and the edits since", (_, entries, expected) => {
  const { failures } = stateAfter(...entries);
  expect(failures?.map(({ passedAt, files }) => ({ files, ...(passedAt === undefined ? {} : { passedAt }) }))).toEqual(
    expected,
  );
  if (expected?.length === 1 && !entries.includes(passes)) expect(failures?.[0]?.input).toBe("npm test");
  if (expected?.length === 1 && entries.includes(passes)) expect(failures?.[0]?.error).toBe("Error: pier is full");
});

it("what the chat says of its own work replaces what was there; what it leaves out stays", () => {
  const known = { ...emptyState, goal: "old", done: ["a"], nextStep: "c" };
  const state = withNotes(known, { goal: "new", done: ["a", "b"], nextStep: undefined }, T0);
  expect(state).toMatchObject({ goal: "new", done: ["a", "b"], nextStep: "c" });
  expect(withNotes(state, { state: null, todos: [] }, T0)).toMatchObject({ goal: "new", state: null });
  const edited = { path: "/a", hash: "h", action: "edited" } as const;
  const { files } = withNotes({ ...emptyState, files: [edited] }, { files: ["/b", "/a"] }, T0);
  expect(files).toEqual([{ path: "/b", hash: null, action: "noted" }, edited]);
});

it("however long a session is, its state is bounded: the chat's newest words, the newest files, tasks and tools", () => {
  const many = Array.from({ length: 400 }, (_, index): JournalEntry[] => [
    touched(`/${index}`, "edited"),
    { kind: "todo", todo: { id: String(index), text: "t" } },
    chat(`said ${index}`),
    begun(`run ${index}`),
    stopped(`${index}`),
  ]);
  const { words, files, todos, calls, life: stands } = stateAfter(...many.flat());
  const lists = [words, files, todos, stands.calls, calls, stands.stopped];
  expect(lists.map(({ length }) => length)).toEqual([8, 200, 200, 50, 5, 50]);
  expect([words.at(-1)?.text, files.at(-1)?.path]).toEqual(["said 399", "/399"]);
});

/** Any journal entry; ids and paths are few, so that entries meet each other. */
function anEntry(): fc.Arbitrary<JournalEntry> {
  const phrases = ["yes", "no", "Blue or green?", "paint it ".repeat(300), "/compact now", "/goal done", "😀\0"];
  const text = fc.oneof(fc.constantFrom(...phrases), fc.string({ maxLength: 30 }));
  const id = fc.constantFrom("t1", "t2", "t3");
  const path = fc.constantFrom("/nonexistent/a", "/nonexistent/b", "relative");
  const action = fc.constantFrom("read", "edited", "created", "noted");
  const status = fc.constantFrom<TodoItem["status"]>("pending", "in_progress", "completed");
  const tool = { id, name: fc.constantFrom("Bash", "Edit"), input: text };
  const duration = { durationMs: fc.nat() };
  const answer = fc.record({ question: text, answer: text });
  return fc.oneof(
    fc.record({ kind: fc.constant("start"), source: text }),
    fc.record({ kind: fc.constantFrom("prompt" as const, "assistant" as const), text }),
    fc.record({ kind: fc.constant("tool_start"), ...tool }),
    fc.record(
      { kind: fc.constant("tool_end"), ...tool, ...duration, path, action },
      { requiredKeys: ["kind", "id", "name", "input"] },
    ),
    fc.record(
      { kind: fc.constant("tool_error"), ...tool, ...duration, text },
      { requiredKeys: ["kind", "id", "name", "input", "text"] },
    ),
    fc.record({ kind: fc.constant("todos"), todos: fc.array(fc.record({ text, status }), { maxLength: 4 }) }),
    fc.record({ kind: fc.constant("todo"), todo: fc.record({ id, text, status }, { requiredKeys: ["id"] }) }),
    fc.record({ kind: fc.constant("todo_removed"), id }),
    fc.record({ kind: fc.constant("compacting"), trigger: text }),
    fc.record({ kind: fc.constant("compacted"), summary: text }),
    fc.record({ kind: fc.constantFrom("turn_end" as const, "interrupted" as const) }),
    fc.record({ kind: fc.constant("answers"), answers: fc.array(answer, { maxLength: 3 }) }),
    fc.record({ kind: fc.constant("plan"), text, path }, { requiredKeys: ["kind", "text"] }),
    fc.record({ kind: fc.constantFrom("given_back" as const, "subagent_end" as const, "failure" as const), text }),
    fc.record({ kind: fc.constantFrom("detached" as const, "end" as const), reason: text }),
  );
}

it("a state can be folded on from any point, and stays plain JSON", () => {
  const row = fc.record({ entry: anEntry(), at: fc.nat(50) });
  const property = fc.property(fc.array(row, { maxLength: 40 }), fc.nat(40), (given, cut) => {
    const all = given.map((one, index) => ({ seq: index + 1, ...one }));
    const stored = JSON.parse(JSON.stringify(fold(emptyState, all.slice(0, cut)))) as WorkState;
    expect(fold(stored, all.slice(cut))).toEqual(fold(emptyState, all));
  });
  fc.assert(property, { numRuns: 300 });
});

const texts = ({ prompts }: WorkState): string[] => prompts.map(({ text }) => text);

const long = "Paint it green, and the mast too, but leave the rudder as it is for now please.";

it("prompts are kept with their time; commands of the client are none; those of others are, and /compact and /plan with arguments", () => {
  const kept = ["fix it", "/compact keep the names", "/deploy the office", "/plan a new dock", "/harbour:review"];
  const state = stateAfter(...["/init", ...kept, "/model opus", "/plan", "/shim:save", "and test it"].map(user));
  expect(texts(state)).toEqual([...kept, "and test it"]);
  expect(state.prompts[0]).toEqual({ text: "fix it", at: T0 + 1 });
  expect(texts(stateAfter(user("/home/ann/a.ts is broken")))).toEqual(["/home/ann/a.ts is broken"]);
});

it("a short prompt stands with the end of the words that it answers; a long one and one that follows no words do not", () => {
  const question = chat(`${"I looked at the dock. ".repeat(30)}Shall I paint the hull blue or green?`);
  const { prompts } = stateAfter(user("blue"), question, user("green"), user(long));
  const answers = prompts.map((one) => one.answers?.slice(-37));
  expect(answers).toEqual([undefined, "Shall I paint the hull blue or green?", undefined]);
  expect(prompts[1]?.answers?.length).toBeLessThanOrEqual(200);
});

const longJob = (index: number) => `Job ${index}. ${"Row the boat to the far pier. ".repeat(100)}Never sink it.`;

it("older prompts than the newest six are shortened and say how long they were", () => {
  const { prompts } = stateAfter(...Array.from({ length: 10 }, (_, index) => user(longJob(index))));
  for (const [index, { text, chars }] of prompts.slice(1, 4).entries()) {
    expect(text).toMatch(new RegExp(`^Job ${index + 1}\\..* … .*Never sink it\\.$`));
    expect([text.length <= 1_000, chars]).toEqual([true, longJob(index).length]);
  }
});

it("however long and many prompts are, the first, the newest six and at most 60,000 characters stay", () => {
  const long = fc.integer({ min: 10, max: 12_000 }).map((n) => "Paint it. ".repeat(n / 10));
  const text = fc.oneof(fc.constantFrom("yes", "go on"), long);
  const property = fc.property(fc.array(text, { minLength: 8, maxLength: 150, size: "max" }), (given) => {
    const state = stateAfter(...given.map(user));
    const kept = texts(state);
    expect(kept.length + state.droppedPrompts).toBe(given.length);
    expect(kept[0]).toBe(given[0]);
    expect(kept.slice(-6)).toEqual(given.slice(-6));
    const between = kept.slice(1, -6).join("").length;
    if (between > 0) expect(kept.join("").length).toBeLessThanOrEqual(60_000);
    expect(state.prompts.map(({ at }) => at)).toEqual(state.prompts.map(({ at }) => at).toSorted((a, b) => a - b));
  });
  fc.assert(property, { numRuns: 15, seed: 7, endOnFailure: true });
});

it("of more than 300 prompts the oldest nod goes first, then the oldest after the first one", () => {
  for (const gone of [[150], [1, 150, 200]]) {
    const given = Array.from({ length: 300 + gone.length }, (_, index) => `paint boat ${index}`);
    given.splice(150, 1, "yes");
    given.splice(200, 1, "yes");
    expect(texts(stateAfter(...given.map(user)))).toEqual(given.filter((_, index) => !gone.includes(index)));
  }
});

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
  [{ command: "x".repeat(1_000) }, `${"x".repeat(stored.input)} [cut, ${1_000 - stored.input} more characters]`],
])("a tool call is kept as one line: its command, path, pattern or address, else its input: %j", (input, line) => {
  const [entry] = entries("PreToolUse", { tool_name: "T", tool_use_id: "t1", tool_input: input });
  expect(entry).toMatchObject({ kind: "tool_start", input: line });
});

it("a tool call without a name or an id cannot be distinguished from another and is left out; one of a subagent says so", () => {
  const none = [entries("PreToolUse", { tool_name: "Bash" }), entries("PostToolUse", { tool_use_id: "t1" })];
  expect([...none, entries("PostToolUseFailure", {})]).toEqual([[], [], []]);
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

const ends = { head: 300, tail: 200 };
const token = `ghp_${"a1B2".repeat(9)}`;

const filler = (length: number): string => "word ".repeat(Math.ceil(length / 5)).slice(0, length);

it("a text that is kept has no secret in it, wherever its cuts fall", () => {
  for (const { text, secrets } of secretSamples(11)) {
    const cut = [100, stored.input].flatMap((max) =>
      [0, max - 20, max * 4 - 10, max * 4 + 3_990].map((before) => redactAndClip(`${filler(before)}${text}`, max)),
    );
    const kept = [280, 190, 3_000, 60_000].flatMap((around) =>
      [0, 15, 3_990].map((padding) =>
        redactAndKeepEnds(`${filler(around)}\n${text}\n${filler(around)}${" ".repeat(padding)}`, ends),
      ),
    );
    expect(secrets.filter((secret) => [...cut, ...kept].some((one) => one.includes(secret)))).toEqual([]);
  }
});

it("bounded texts are never longer than their limit and its mark, and count what is left out", () => {
  const property = fc.property(fc.integer({ min: 0, max: 9_000 }), fc.integer({ min: 1, max: 500 }), (length, max) => {
    const text = filler(length);
    const kept = redactAndClip(text, max);
    const cut = `${text.slice(0, max)} [cut, ${length - max} more characters]`;
    expect([kept, wholeLength(kept)]).toEqual([length <= max ? text : cut, length]);
  });
  fc.assert(property);
});

it("a text that is cut again still says how long the first one was, and the same cut once more changes nothing", () => {
  const limit = fc.integer({ min: 1, max: 600 });
  const cut = fc.oneof(
    limit.map((max) => (text: string) => redactAndClip(text, max)),
    fc.tuple(limit, limit).map(
      ([head, tail]) =>
        (text: string) =>
          redactAndKeepEnds(text, { head, tail }),
    ),
  );
  const sentences = fc.integer({ min: 0, max: 9_000 }).map((length) => "A word. And\n".repeat(800).slice(0, length));
  const property = fc.property(sentences, fc.array(cut, { minLength: 1, maxLength: 4 }), (first, cuts) => {
    let text = first;
    for (const one of cuts) {
      text = one(text);
      expect(wholeLength(text)).toBe(first.length);
      expect(one(text)).toBe(text);
    }
  });
  // A tail that begins with the break of an earlier mark.
  const beside = [
    { head: 32, tail: 1 },
    { head: 1, tail: 27 },
  ].map((own) => (text: string) => redactAndKeepEnds(text, own));
  fc.assert(property, { examples: [["A word. And\n".repeat(3).slice(0, 34), beside]] });
});

it.each([2_000, 200_000])("what is private in the cut part of %i characters is not kept in halves", (length) => {
  const text = `Fix it. <private>${"p".repeat(length)}</private> ${"Then test it. ".repeat(60)}`;
  const kept = redactAndKeepEnds(text, ends);
  expect(kept).not.toMatch(/pp|private>/);
  expect(kept).toMatch(/^Fix it\. \[private\] Then test it\..*Then test it\.\s*$/s);
  expect(redactAndKeepEnds(`${token} `.repeat(length / 40), ends)).not.toMatch(/ghp_|a1B2/);
});

it("a cut within code ends its fence and opens it again, and what is left out is counted", () => {
  const [words, block] = ["Fix it. ".repeat(60), `\`\`\`\n${"x = 1;\n".repeat(200)}\`\`\`\n`];
  for (const [text, cut] of [
    [`Fix it.\n${block}End.`, "```\n[cut]\n```"],
    [`${words}\n${block}End.`, "\n[cut]\n```"],
    [`Fix it.\n${block}${words}`, "```\n[cut]\n"],
  ] as const) {
    const kept = redactAndKeepEnds(text, ends);
    const mark = /(?:```)?\n\[cut, \d+ more characters\]\n(?:```)?/;
    expect(mark.exec(kept)?.[0].replace(/, [^\]]+/, "")).toBe(cut);
    expect(wholeLength(kept)).toBe(text.length);
  }
});

it("an id is kept as it is when it can be one; else it is stored as its digest, the same each time", () => {
  const uuid = "20487890-04b4-4fe0-bbd5-6aa531354563";
  const real = [uuid, "toolu_1795162526340_2", "agent-a0b5", "toolu_01A2b3C4d5E6f7G8h9J0k1L2"];
  expect(real.map(idOf)).toEqual(real);
  const odd = ["", "a\nb", "x".repeat(201), "</fence>", token];
  for (const id of odd) expect(idOf(id)).toMatch(/^id_[\da-f]{16}$/);
  expect(new Set(odd.map(idOf)).size).toBe(odd.length);
  expect(label("a\n b")).toBe("a b");
  const path = `/home/ann/.claude/projects/-home-ann-app/${uuid}.jsonl`;
  expect(pathOf(path)).toBe(path);
});

it("no half of a secret that a limit cuts in two is stored with a tool's input", () => {
  // What is redacted before it moves the half that was cut into the part that is kept.
  const redacted = `password=${"hunter2".repeat(11)} `.repeat(13);
  for (let more = 0; more < 80; more += 8) {
    expect(describeInput({ other: `${redacted}${"x ".repeat(more / 2)}${token} and more` })).not.toContain("ghp_");
  }
  // Private text leaves so little that the end of what is read is kept.
  for (let chars = 5_100; chars < 5_220; chars += 5) {
    const text = `<private>${"x".repeat(chars)}</private> ${token} ${"and more ".repeat(200)}`;
    expect(describeInput({ command: text })).not.toContain("ghp_");
  }
  const hidden = `<private>${"p".repeat(4_800)}</private>${" ".repeat(370)}${token}`;
  expect(redactAndClip(hidden, 300)).not.toMatch(/ghp_|ppp/);
  // As do keys at both ends of a longer text, which is one line.
  const key = `-----BEGIN PRIVATE KEY-----${String.raw`\n${"a1B2".repeat(16)}`.repeat(263)}\\n-----END PRIVATE KEY----- `;
  for (let more = 0; more < 41; more += 8) {
    const text = `${key}${key}${"x".repeat(more)} ${`${token} `.repeat(12)}${key}${key}`;
    expect(redactAndKeepEnds(text, ends)).not.toMatch(/ghp_|a1B2/);
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
