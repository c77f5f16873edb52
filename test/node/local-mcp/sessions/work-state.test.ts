import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import { emptyState, fold, withNotes } from "#src/local-mcp/sessions/work-state.ts";
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

it("[CP8] the first and the newest request are the user's; a slash command is neither, but is in the conversation", () => {
  const prompts = ["/init", "fix it", "/compact keep the names", "and test it"];
  const state = stateAfter(...prompts.map(prompt));
  expect(state).toMatchObject({ firstPrompt: "fix it", lastPrompt: "and test it" });
  expect(state.conversation.map((turn) => turn.text)).toEqual(prompts);
  expect(stateAfter(prompt("/home/ann/a.ts is broken")).firstPrompt).toBe("/home/ann/a.ts is broken");
});

const running = (...entries: JournalEntry[]): string[] => stateAfter(...entries).runningTools.map((tool) => tool.id);

it("[CP14] a tool runs from its start to its end, its error, the end of the turn or the next prompt", () => {
  expect(running(begun("a"), begun("b"), ended("a"))).toEqual(["b"]);
  expect(running(begun("a"), { kind: "tool_error", id: "a", name: "Bash", input: "a", text: "no" })).toEqual([]);
  expect(running(begun("a"), { kind: "turn_end" })).toEqual([]);
  expect(running(begun("a"), { kind: "end", reason: "other" })).toEqual([]);
  expect(running(begun("a"), prompt("stop that"))).toEqual([]);
  expect(running(begun("a"), begun("a"))).toEqual(["a"]);
});

it("[CP52] the newest error is kept, of a tool or of the client", () => {
  const error: JournalEntry = { kind: "tool_error", id: "a", name: "Bash", input: "make", text: "Exit code 2" };
  expect(stateAfter(error).lastError).toEqual({ at: T0, text: "Bash make: Exit code 2" });
  const later = stateAfter(error, { kind: "failure", text: "rate_limit" });
  expect(later.lastError).toEqual({ at: T0 + 1, text: "rate_limit" });
});

const files = (...entries: JournalEntry[]): unknown =>
  stateAfter(...entries).files.map(({ path, action }) => [path, action]);

it("[CP10] of each file the last thing done counts, but an edited one stays edited when it is read again; newest last", () => {
  expect(files(touched("/a", "edited"), touched("/b", "read"), touched("/a", "read"))).toEqual([
    ["/b", "read"],
    ["/a", "edited"],
  ]);
  expect(files(touched("/a", "read"), touched("/a", "edited"))).toEqual([["/a", "edited"]]);
});

it("[CP10] an edit after the checkpoint makes its hash void, for it cannot be told from another's edit; reading does not", () => {
  const base: WorkState = { ...emptyState, files: [{ path: "/a", hash: "h", action: "edited" }] };
  const after = (action: "read" | "edited") => fold(base, [{ seq: 1, at: T0, entry: touched("/a", action) }]).files;
  expect(after("read")).toEqual(base.files);
  expect(after("edited")).toMatchObject([{ hash: null, skipped: "edited after the last checkpoint" }]);
});

it("[CP53] tasks: a whole list replaces, a single one changes or joins, a deleted one goes", () => {
  const list: JournalEntry = { kind: "todos", todos: [{ text: "old", status: "pending" }] };
  const one: JournalEntry = { kind: "todo", todo: { id: "1", text: "one", status: "pending" } };
  const done: JournalEntry = { kind: "todo", todo: { id: "1", status: "completed" } };
  expect(stateAfter(one, list).todos).toEqual([{ text: "old", status: "pending" }]);
  expect(stateAfter(one, done).todos).toEqual([{ id: "1", text: "one", status: "completed" }]);
  expect(stateAfter(done).todos).toEqual([{ id: "1", text: "task 1", status: "completed" }]);
  expect(stateAfter(one, { kind: "todo_removed", id: "1" }).todos).toEqual([]);
});

it("[CP2] what the chat says of its own work replaces what was there; what it leaves out stays", () => {
  const known = { ...emptyState, goal: "old", done: ["a"], nextStep: "c" };
  const state = withNotes(known, { goal: "new", done: ["a", "b"], nextStep: undefined }, T0);
  expect(state).toMatchObject({ goal: "new", done: ["a", "b"], nextStep: "c" });
  expect(withNotes(state, { state: null, todos: [] }, T0)).toMatchObject({ goal: "new", state: null });
  const edited = { path: "/a", hash: "h", action: "edited" } as const;
  const { files } = withNotes({ ...emptyState, files: [edited] }, { files: ["/b", "/a"] }, T0);
  expect(files).toEqual([{ path: "/b", hash: null, action: "noted" }, edited]);
});

it("[CP13] however long a session is, its state is bounded: the tail of the conversation, the newest files, tasks and tools", () => {
  const many = Array.from({ length: 400 }, (_, index): JournalEntry[] => [
    touched(`/${index}`, "edited"),
    { kind: "todo", todo: { id: String(index), text: "t" } },
    { kind: "assistant", text: `said ${index}` },
    begun(`run ${index}`),
  ]);
  const { conversation, files, todos, runningTools } = stateAfter(...many.flat());
  expect([conversation, files, todos, runningTools].map(({ length }) => length)).toEqual([30, 200, 200, 50]);
  expect([conversation.at(-1)?.text, files.at(-1)?.path]).toEqual(["said 399", "/399"]);
});

it("[CP1] a state can be folded on from any point, and stays plain JSON", () => {
  fc.assert(
    fc.property(fc.array(anEntry(), { maxLength: 40 }), fc.nat(40), (entries, cut) => {
      const rows = entries.map((entry, index) => ({ seq: index + 1, at: T0 + index, entry }));
      const whole = fold(emptyState, rows);
      const stored = JSON.parse(JSON.stringify(fold(emptyState, rows.slice(0, cut)))) as WorkState;
      expect(fold(stored, rows.slice(cut))).toEqual(whole);
    }),
  );
});
