import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { HookEvent } from "#src/contract/hook-input.ts";
import { capture } from "#src/local-mcp/checkpoints/capture.ts";
import { answerHook } from "#src/local-mcp/hooks/answer-hook.ts";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import { emptyState, fold, withNotes } from "#src/local-mcp/sessions/work-state.ts";
import { storedSession, stateOf } from "#harness/machine/claude.ts";
import { anEntry } from "#harness/machine/journal-entries.ts";
import { T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { addSession } from "#harness/store/store-rows.ts";

function begin(runtime: TempRuntime, id = "s1"): void {
  runtime.store.write((sql) => addSession(sql, { id, project: null, title: null }));
}

it("[JO1] an entry is kept once per session and key, also when its text differs the second time", () => {
  const runtime = tempRuntime();
  const append = ([session, key, text]: readonly [string, string, string]): boolean =>
    runtime.store.write((sql) => journal.append(sql, session, T0, key, { kind: "prompt", text }));
  const entries = [["a", "k", "one"] as const, ["a", "k", "two"] as const, ["b", "k", "three"] as const];
  expect(entries.map(append)).toEqual([true, false, true]);
  const rows = runtime.store.read((sql) => journal.list(sql, "a", 0), []);
  expect(rows).toMatchObject([{ at: T0, entry: { kind: "prompt", text: "one" } }]);
  const has = ["k", "other"].map((key) => runtime.store.read((sql) => journal.has(sql, "a", key), null));
  expect(has).toEqual([true, false]);
});

it("[JO1] an entry is read as it was written; the newest of some kinds are listed newest first", () => {
  const runtime = tempRuntime();
  const entries = fc.sample(anEntry(), { numRuns: 60, seed: 3 });
  runtime.store.write((sql) =>
    entries.forEach((entry, index) => journal.append(sql, "s", T0 + index, String(index), entry)),
  );
  const rows = runtime.store.read((sql) => journal.list(sql, "s", 0), []);
  expect(rows.map((row) => row.entry)).toEqual(entries);
  const wanted = rows.filter(({ entry }) => entry.kind === "prompt" || entry.kind === "tool_end").toReversed();
  expect(runtime.store.read((sql) => journal.newest(sql, "s", ["prompt", "tool_end"], 5), [])).toEqual(
    wanted.slice(0, 5),
  );
  const after = rows[10]?.seq ?? 0;
  expect(runtime.store.read((sql) => journal.list(sql, "s", after, 7), [])).toEqual(rows.slice(11, 18));
});

it("[CP1] a journal that is folded in parts, through checkpoints, gives the same state as folded at once", () => {
  const runtime = tempRuntime();
  let run = 0;
  fc.assert(
    fc.property(fc.array(anEntry(), { maxLength: 60 }), fc.array(fc.nat(60), { maxLength: 6 }), (given, stops) => {
      run += 1;
      const [whole, parts] = [`whole${run}`, `parts${run}`];
      for (const id of [whole, parts]) begin(runtime, id);
      const cuts = [...new Set(stops.map((stop) => Math.min(stop, given.length))), given.length].sort((a, b) => a - b);
      let done = 0;
      for (const cut of cuts) {
        runtime.store.write((sql) => {
          for (; done < cut; done++) {
            const entry = given[done];
            if (!entry) continue;
            for (const id of [whole, parts]) journal.append(sql, id, T0 + done, String(done), entry);
          }
        });
        if (cut < given.length) capture(runtime, { sessionId: parts, trigger: "time" });
      }
      expect(known(runtime, parts)).toEqual(known(runtime, whole));
    }),
    { numRuns: 40 },
  );
});

/** The state without what a checkpoint finds out by looking at the disk. */
function known(runtime: TempRuntime, id: string): unknown {
  const state = stateOf(runtime, id);
  return { ...state, files: state?.files.map(({ path, action }) => ({ path, action })) };
}

it("[CP1] [CP50] more journal than one read takes is folded to its end; a kind that a newer program has written changes nothing", () => {
  const runtime = tempRuntime();
  begin(runtime);
  runtime.store.write((sql) => {
    for (let index = 0; index < 5_001; index++)
      journal.append(sql, "s1", T0, String(index), { kind: "prompt", text: `prompt ${index}` });
    journal.append(sql, "s1", T0, "newer", { kind: "from_the_future" } as unknown as JournalEntry);
  });
  expect(stateOf(runtime, "s1")?.lastPrompt).toBe("prompt 5000");
});

type Event = readonly [event: HookEvent, input: Record<string, unknown>];

function aTool(name: string, id: string): Record<string, unknown> {
  return { tool_name: name, tool_use_id: id, tool_input: { file_path: `/nonexistent/${id}`, subject: `task ${id}` } };
}

const steps: Record<string, (id: string) => Event[]> = {
  ok: (id) => [
    ["PreToolUse", aTool("Edit", id)],
    ["PostToolUse", aTool("Edit", id)],
  ],
  fail: (id) => [
    ["PreToolUse", aTool("Edit", id)],
    ["PostToolUseFailure", { ...aTool("Edit", id), error: "Exit code 1" }],
  ],
  open: (id) => [["PreToolUse", aTool("Edit", id)]],
  todo: (id) => [["PostToolUse", { ...aTool("TaskCreate", id), tool_response: { task: { id } } }]],
  agent: (id) => [["SubagentStop", { agent_id: id, agent_type: "Explore", last_assistant_message: "found" }]],
  compact: (id) => [
    ["PreCompact", { trigger: "auto" }],
    ["PostCompact", { trigger: "auto", compact_summary: `summary ${id}` }],
  ],
  stop: (id) => [["Stop", { last_assistant_message: `done ${id}` }]],
  failure: () => [["StopFailure", { error: "server_error" }]],
};

/** A session in an order in which a client can report it. */
function aStory(): fc.Arbitrary<Event[]> {
  const middle = fc.array(fc.constantFrom("ok", "fail", "open", "todo", "agent", "compact"), { maxLength: 5 });
  const end = fc.subarray(["stop", "failure"], { maxLength: 1 });
  const turns = fc.array(fc.tuple(middle, end), { maxLength: 4 });
  const begin: Event = ["SessionStart", { source: "startup" }];
  return turns.map((all) => [begin].concat(all.flatMap(([done, ended], turn) => aTurn([...done, ...ended], turn))));
}

function aTurn(names: readonly string[], turn: number): Event[] {
  const events = names.flatMap((name, index) => steps[name]?.(`${turn}-${index}`) ?? []);
  const all: Event[] = [["UserPromptSubmit", { prompt: `do ${turn}` }], ...events];
  return all.map(([event, input]) => [event, Object.assign({ prompt_id: `p${turn}` }, input)]);
}

it("[JO1] a session whose events are each reported once to three times, at once or late, ends up the same", () => {
  const runtime = tempRuntime();
  runtime.processes.start(1);
  let run = 0;
  fc.assert(
    fc.property(aStory(), fc.array(fc.tuple(fc.nat(), fc.nat(9)), { maxLength: 20 }), (story, again) => {
      run += 1;
      const once = play(runtime, `once${run}`, story, story);
      const more = [...story];
      const places = story.map((_, index) => index);
      // A repeat of an event, some places after it.
      for (const [which, delay] of again) {
        const first = places.findIndex((place) => place === which % story.length);
        const repeated = story[which % story.length];
        if (!repeated) continue;
        const at = Math.min(more.length, first + 1 + delay);
        more.splice(at, 0, repeated);
        places.splice(at, 0, -1);
      }
      expect(play(runtime, `more${run}`, more, story)).toEqual(once);
    }),
    { numRuns: 15 },
  );
});

/** What is known at the end. An event's own time counts when it is told first; its repeats come at the time of the last one. */
function play(runtime: TempRuntime, id: string, told: readonly Event[], order: readonly Event[]): unknown {
  const seen = new Set<Event>();
  for (const each of told) {
    if (!seen.has(each)) runtime.clock.now = T0 + order.indexOf(each) * 1_000;
    seen.add(each);
    const [event, given] = each;
    const input = { session_id: id, cwd: "/nonexistent", hook_event_name: event, ...given };
    answerHook(runtime, event, () => JSON.stringify(input), 1);
  }
  const { toolCalls, toolErrors, title, endedAt } = storedSession(runtime, id);
  return { toolCalls, toolErrors, title, endedAt, state: known(runtime, id) };
}

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

it.each(["Exit code 144", "[Request interrupted by user for tool use]", "Exit code 2"])(
  "[RE120] a call that ends with '%s' as the client is asked to end is unfinished, unless it had failed by itself",
  (text) => {
    const failed: JournalEntry = { kind: "tool_error", id: "a", name: "Bash", input: "make", text: "Exit code 2" };
    const ended: JournalEntry = { kind: "tool_error", id: "b", name: "Bash", input: "make test", text };
    const detached: JournalEntry = { kind: "detached", reason: "interrupted" };
    const before = stateAfter(failed, begun("b"), ended);
    const at = (ms: number): WorkState => fold(before, [{ seq: 9, at: T0 + 2 + ms, entry: detached }]);
    const isInterrupted = text !== "Exit code 2";
    const lastError = `Bash make${isInterrupted ? "" : " test"}: Exit code 2`;
    expect(at(3_000)).toMatchObject({
      runningTools: isInterrupted ? [{ id: "b" }] : [],
      lastError: { text: lastError },
    });
    expect(at(3_001).runningTools).toEqual([]);
    expect(running(begun("b"), ended, prompt("stop that"), detached)).toEqual([]);
    expect(running(begun("b"), ended, { kind: "turn_end" }, detached)).toEqual([]);
  },
);

function stopped(id: string): JournalEntry {
  return { kind: "tool_error", id, name: "Bash", input: `make ${id}`, text: "Exit code 144" };
}

it("[RE120] all calls that were stopped together are unfinished; an error that came after them stays", () => {
  const detached: JournalEntry = { kind: "detached", reason: "interrupted" };
  const both = stateAfter(begun("a"), begun("b"), stopped("a"), stopped("b"), detached);
  expect(both).toMatchObject({ runningTools: [{ id: "a", startedAt: T0 }, { id: "b" }], lastError: null });
  const failed: JournalEntry = { kind: "failure", text: "overloaded" };
  expect(stateAfter(begun("a"), stopped("a"), failed, detached).lastError?.text).toBe("overloaded");
});

it("[CP52] the newest error is kept, of a tool or of the client", () => {
  const error: JournalEntry = { kind: "tool_error", id: "a", name: "Bash", input: "make", text: "Exit code 2" };
  expect(stateAfter(error).lastError).toEqual({
    at: T0,
    text: "Bash make: Exit code 2",
    call: { name: "Bash", input: "make" },
  });
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
