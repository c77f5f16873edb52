import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import type { JournalRow } from "#src/machine/sessions/journal.ts";
import { emptyState, fold, withNotes } from "#src/machine/sessions/work-state.ts";
import { anEntry } from "#harness/machine/journal-entries.ts";
import { T0 } from "#harness/store/temp-store.ts";

function stateAfter(...entries: JournalEntry[]): WorkState {
  return fold(
    emptyState,
    entries.map((entry, index) => ({ seq: index + 1, at: T0 + index, entry })),
  );
}

const prompt = (text: string): JournalEntry => ({ kind: "prompt", text });
const begun = (id: string): JournalEntry => ({ kind: "tool_start", id, name: "Bash", input: id });
const ended = (id: string): JournalEntry => ({ kind: "tool_end", id, name: "Bash", input: id });
const touched = (path: string, action: "read" | "edited"): JournalEntry => {
  return { kind: "tool_end", id: path, name: "Edit", input: path, path, action };
};

const at = (ms: number, entry: JournalEntry): JournalRow => ({ seq: ms + 1, at: T0 + ms, entry });
const ids = (...rows: JournalRow[]): string[] => fold(emptyState, rows).runningTools.map(({ id }) => id);
const running = (...entries: JournalEntry[]): string[] => stateAfter(...entries).runningTools.map((tool) => tool.id);

it("a tool runs from its start to its end, its error, the end of the turn or the next prompt", () => {
  expect(running(begun("a"), begun("b"), ended("a"))).toEqual(["b"]);
  expect(running(begun("a"), { kind: "tool_error", id: "a", name: "Bash", input: "a", text: "no" })).toEqual([]);
  expect(running(begun("a"), { kind: "turn_end" })).toEqual([]);
  expect(running(begun("a"), { kind: "end", reason: "other" })).toEqual([]);
  expect(running(begun("a"), prompt("stop that"))).toEqual([]);
  expect(running(begun("a"), begun("a"))).toEqual(["a"]);
});

it("an edit that deletes its file is a deletion among the last calls", () => {
  const deleted: JournalEntry = {
    kind: "tool_end",
    id: "a",
    name: "Edit",
    input: "a.ts",
    path: "a.ts",
    action: "deleted",
  };
  expect(stateAfter(touched("b.ts", "edited"), deleted).calls.map(({ name }) => name)).toEqual(["Edit", "Delete"]);
});

it.each(["Exit code 144", "[Request interrupted by user for tool use]", "Exit code 2"])(
  "a call that ends with '%s' as the client is asked to end is unfinished, unless it had failed by itself",
  (text) => {
    const failed: JournalEntry = { kind: "tool_error", id: "a", name: "Bash", input: "make", text: "Exit code 2" };
    const ended: JournalEntry = { kind: "tool_error", id: "b", name: "Bash", input: "make test", text };
    const detached: JournalEntry = { kind: "detached", reason: "interrupted" };
    const before = stateAfter(failed, begun("b"), ended);
    const at = (ms: number): WorkState => fold(before, [{ seq: 9, at: T0 + 2 + ms, entry: detached }]);
    const isInterrupted = text !== "Exit code 2";
    expect(at(3_000)).toMatchObject({
      runningTools: isInterrupted ? [{ id: "b" }] : [],
      calls: [{ input: "make", error: "Exit code 2" }, { input: "make test" }].slice(0, isInterrupted ? 1 : 2),
    });
    expect(at(3_001).runningTools).toEqual([]);
    expect(running(begun("b"), ended, prompt("stop that"), detached)).toEqual([]);
    expect(running(begun("b"), ended, { kind: "turn_end" }, detached)).toEqual([]);
  },
);

function stopped(id: string): JournalEntry {
  return { kind: "tool_error", id, name: "Bash", input: `make ${id}`, text: "Exit code 144" };
}

it("all calls that were stopped together are unfinished; a failure of the client after them stays", () => {
  const detached: JournalEntry = { kind: "detached", reason: "interrupted" };
  const both = stateAfter(begun("a"), begun("b"), stopped("a"), stopped("b"), detached);
  expect(both).toMatchObject({ runningTools: [{ id: "a", startedAt: T0 }, { id: "b" }], calls: [], cutOff: [] });
  const failed: JournalEntry = { kind: "failure", text: "overloaded" };
  const state = stateAfter(begun("a"), stopped("a"), failed, detached);
  expect(state).toMatchObject({ failure: { text: "overloaded", at: T0 + 2 }, runningTools: [{ id: "a" }] });
});

it("a call whose end was not seen runs until a later one of its chat begins; of a batch and of a subagent all run", () => {
  expect(ids(at(0, begun("a")), at(2_000, begun("b")))).toEqual(["a", "b"]);
  expect(ids(at(0, begun("a")), at(2_001, begun("b")))).toEqual(["b"]);
  const ofSubagent: JournalEntry = { kind: "tool_start", id: "s", name: "Bash (subagent)", input: "s" };
  expect(ids(at(0, begun("a")), at(9_000, ofSubagent))).toEqual(["a", "s"]);
  expect(ids(at(0, ofSubagent), at(9_000, begun("b")))).toEqual(["s", "b"]);
});

it("the last five calls are kept in the order of their ends, each failed one with its output; bookkeeping is none", () => {
  const error: JournalEntry = { kind: "tool_error", id: "a", name: "Bash", input: "make", text: "Exit code 2" };
  const names = [
    "TodoWrite",
    "TaskUpdate",
    "update_plan",
    "shim_inbox",
    "mcp__shim_state_set",
    "mcp__plugin_shim_next",
  ];
  const state = stateAfter(
    error,
    ended("b"),
    ...names.map((name): JournalEntry => ({ kind: "tool_end", id: name, name, input: "x" })),
  );
  expect(state.calls).toEqual([
    { name: "Bash", input: "make", at: T0, error: "Exit code 2" },
    { name: "Bash", input: "b", at: T0 + 1 },
  ]);
  const many = stateAfter(...["1", "2", "3", "4", "5", "6", "7"].map(ended));
  expect(many.calls.map(({ input }) => input)).toEqual(["3", "4", "5", "6", "7"]);
});

it("an interruption ends what ran, and its time is kept like the end of a turn", () => {
  const state = stateAfter(prompt("paint it"), begun("a"), { kind: "interrupted" });
  expect(state).toMatchObject({ runningTools: [], interruptedAt: T0 + 2, turnEndedAt: null });
  expect(stateAfter(begun("a"), { kind: "turn_end" })).toMatchObject({ turnEndedAt: T0 + 1, interruptedAt: null });
});

it("a plan or a question that the user refused is a failed call", () => {
  const call = { id: "p", name: "ExitPlanMode", input: "1. schema" };
  const refused: JournalEntry = { kind: "tool_error", ...call, text: "The user does not want it." };
  expect(stateAfter(prompt("plan it"), { kind: "tool_start", ...call }, refused).calls).toMatchObject([
    { name: "ExitPlanMode", error: "The user does not want it." },
  ]);
  expect(stateAfter(prompt("plan it"), { kind: "tool_end", ...call }).calls).toEqual([]);
});

it("a short prompt stands with the words that it may answer, unless another prompt came before it", () => {
  const said: JournalEntry = { kind: "assistant", text: "Blue or green?" };
  const { prompts } = stateAfter(prompt("paint it"), said, prompt("green"), prompt("and varnish it"));
  expect(prompts.map(({ answers }) => answers)).toEqual([undefined, "Blue or green?", undefined]);
});

const answered = (n: number): JournalEntry => ({
  kind: "answers",
  answers: [{ question: `Which colour for boat ${n}?`, answer: "green" }],
});

it("answers to dialogs are kept with their question and time, the newest thirty", () => {
  const { answers } = stateAfter(...Array.from({ length: 40 }, (_, n) => answered(n)));
  expect(answers).toHaveLength(30);
  expect(answers.at(-1)).toEqual({ question: "Which colour for boat 39?", answer: "green", at: T0 + 39 });
});

it("an approved plan is kept with its path, and the newest summary of a compaction with their count", () => {
  const plan: JournalEntry = { kind: "plan", text: "1. hull", path: "/plans/boat.md" };
  const state = stateAfter(plan, { kind: "compacted", summary: "one" }, { kind: "compacted", summary: "two" });
  expect(state).toMatchObject({
    plan: { text: "1. hull", path: "/plans/boat.md", at: T0 },
    compactSummary: "two",
    compactions: 2,
    statedAt: { summary: T0 + 2 },
  });
});

const said = (ms: number, text: string): JournalRow => at(ms, { kind: "assistant", text });

it("the chat's words stand by their own time: a text that is read after the end of its turn is not the last", () => {
  const { words } = fold(emptyState, [said(0, "I begin."), said(9, "All is done."), said(5, "I run the tests.")]);
  expect(words.map(({ text }) => text)).toEqual(["I begin.", "I run the tests.", "All is done."]);
});

const files = (...entries: JournalEntry[]): unknown =>
  stateAfter(...entries).files.map(({ path, action }) => [path, action]);

it("of each file the last thing done counts, but an edited one stays edited when it is read again; newest last", () => {
  expect(files(touched("/a", "edited"), touched("/b", "read"), touched("/a", "read"))).toEqual([
    ["/b", "read"],
    ["/a", "edited"],
  ]);
  expect(files(touched("/a", "read"), touched("/a", "edited"))).toEqual([["/a", "edited"]]);
});

it("an edit after the checkpoint makes its hash void, for it cannot be told from another's edit; reading does not", () => {
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

it("what the chat says of its own work replaces what was there; what it leaves out stays", () => {
  const known = { ...emptyState, goal: "old", done: ["a"], nextStep: "c" };
  const state = withNotes(known, { goal: "new", done: ["a", "b"], nextStep: undefined }, T0);
  expect(state).toMatchObject({ goal: "new", done: ["a", "b"], nextStep: "c" });
  expect(withNotes(state, { state: null, todos: [] }, T0)).toMatchObject({ goal: "new", state: null });
  const edited = { path: "/a", hash: "h", action: "edited" } as const;
  const { files } = withNotes({ ...emptyState, files: [edited] }, { files: ["/b", "/a"] }, T0);
  expect(files).toEqual([{ path: "/b", hash: null, action: "noted" }, edited]);
});

it("lists that a chat gives grow; with replace they are what it gives", () => {
  const first = withNotes(emptyState, { decisions: ["a plan"], done: ["one"], openQuestions: ["who?"] }, T0);
  const second = withNotes(first, { decisions: ["a plan", "a map"], done: ["two"] }, T0 + 1);
  expect(second).toMatchObject({ decisions: ["a plan", "a map"], done: ["one", "two"], openQuestions: ["who?"] });
  expect(second.statedAt).toEqual({ decisions: T0 + 1, done: T0 + 1, openQuestions: T0 });
  const third = withNotes(second, { decisions: ["a tent"], done: ["three"], replace: true }, T0 + 2);
  expect(third).toMatchObject({ decisions: ["a tent"], done: ["three"], openQuestions: ["who?"] });
  // A repetition keeps its age.
  expect(withNotes(third, { decisions: ["a tent"] }, T0 + 3).statedAt).toEqual(third.statedAt);
});

it("however long a session is, its state is bounded: the chat's newest words, the newest files, tasks and tools", () => {
  const many = Array.from({ length: 400 }, (_, index): JournalEntry[] => [
    touched(`/${index}`, "edited"),
    { kind: "todo", todo: { id: String(index), text: "t" } },
    { kind: "assistant", text: `said ${index}` },
    begun(`run ${index}`),
    stopped(`${index}`),
  ]);
  const { words, files, todos, runningTools, calls, cutOff } = stateAfter(...many.flat());
  const lists = [words, files, todos, runningTools, calls, cutOff];
  expect(lists.map(({ length }) => length)).toEqual([8, 200, 200, 50, 5, 50]);
  expect([words.at(-1)?.text, files.at(-1)?.path]).toEqual(["said 399", "/399"]);
});

it("a state can be folded on from any point, and stays plain JSON @night", () => {
  fc.assert(
    fc.property(fc.array(anEntry(), { maxLength: 40 }), fc.nat(40), (entries, cut) => {
      const rows = entries.map((entry, index) => ({ seq: index + 1, at: T0 + index, entry }));
      const whole = fold(emptyState, rows);
      const stored = JSON.parse(JSON.stringify(fold(emptyState, rows.slice(0, cut)))) as WorkState;
      expect(fold(stored, rows.slice(cut))).toEqual(whole);
    }),
  );
});
