import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { Life } from "#src/contract/work-state.ts";
import { life, newLife } from "#src/machine/sessions/life/life.ts";
import { isInTurn, standingOf, type Standing } from "#src/machine/sessions/life/questions.ts";
import { read } from "#src/machine/sessions/life/row.ts";
import { toState } from "#src/machine/sessions/life/stored-state.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { emptyState } from "#src/machine/sessions/work-state.ts";
import { T0, tempRuntime } from "#harness/machine/temp-runtime.ts";

const ids = ["a", "b", "c"] as const;

/** Anything that can be seen of a chat and its sub-agent; calls are few, so that facts meet each other. */
function anEntry(): fc.Arbitrary<JournalEntry> {
  const id = fc.constantFrom(...ids);
  const call = { id, name: fc.constantFrom("Bash", "Bash (subagent)", "AskUserQuestion"), input: fc.constant("make") };
  const text = fc.constantFrom("Exit code 1", "Exit code 144", "The user doesn't want to proceed with this tool use.");
  const what = fc.constantFrom("permission", "dialog", "prompt");
  return fc.oneof(
    fc.record({ kind: fc.constant("start"), source: fc.constantFrom("startup", "resume", "compact", "clear") }),
    fc.record({
      kind: fc.constantFrom("prompt" as const, "assistant" as const),
      text: fc.constantFrom("go", "/model"),
    }),
    fc.record({ kind: fc.constantFrom("tool_start" as const, "tool_end" as const), ...call }),
    fc.record({ kind: fc.constant("tool_error"), ...call, text }),
    fc.record({ kind: fc.constant("asks"), for: what, call: id }, { requiredKeys: ["kind", "for"] }),
    fc.record({ kind: fc.constantFrom("answered" as const, "turn_end" as const, "interrupted" as const) }),
    fc.record({ kind: fc.constant("failure"), text: fc.constant("overloaded") }),
    fc.record({ kind: fc.constantFrom("detached" as const, "end" as const), reason: fc.constant("other") }),
  );
}

/** No two of one time. */
const history = fc
  .uniqueArray(fc.record({ at: fc.nat(20_000), entry: anEntry() }), { selector: ({ at }) => at, maxLength: 30 })
  .map((all) => all.map(({ at, entry }, seq): journal.JournalRow => ({ seq, at: T0 + at, entry })));

it("in whichever order the facts of a chat arrive, and how often each, it stands the same", () => {
  const shuffled = history.chain((all) => {
    const arrival = fc.shuffledSubarray([...all, ...all], { minLength: all.length * 2 });
    return fc.tuple(fc.constant(all), arrival);
  });
  const property = fc.property(shuffled, ([all, arrival]) => {
    const { store } = tempRuntime();
    const late = store.write((sql) => {
      for (const { seq, at, entry } of arrival) journal.append(sql, "s", at, `fact:${seq}`, entry);
      return read(sql, "s");
    });
    expect(late ?? newLife).toEqual(life(newLife, all));
  });
  fc.assert(property, { numRuns: 60 });
});

it("whatever is seen of a chat, it asks or works only in a turn that is not over, and no call stays open behind the end of one", () => {
  const property = fc.property(history, (all) => {
    const ordered = all.toSorted((one, other) => one.at - other.at);
    let state: Life = newLife;
    for (const fact of ordered) {
      state = life(state, [fact]);
      const { turn, calls, asks } = state;
      const isOver = turn === null || turn.over !== null;
      const own = calls.filter(({ name, isLost }) => !isLost && !name.includes("subagent"));
      if (isOver) expect([own, asks === null || asks.for === "prompt"]).toEqual([[], true]);
      if (asks?.for === "prompt") expect(isOver).toBe(true);
      expect(life(state, [{ seq: 99, at: fact.at + 1, entry: { kind: "prompt", text: "go" } }]).turn?.over).toBeNull();
    }
  });
  fc.assert(property, { numRuns: 500 });
});

it("a compaction has the results of the chat's own calls; those of its sub-agents, and the agents, may still run", () => {
  const calls = ["Bash", "Bash (subagent)", "Task"].map((name, seq): journal.JournalRow => {
    return { seq, at: T0 + seq, entry: { kind: "tool_start", id: name, name, input: "" } };
  });
  const before = life(newLife, calls);
  const after = life(before, [{ seq: 9, at: T0 + 9, entry: { kind: "compacted", summary: "" } }]);
  expect(before.calls.map(({ id }) => id)).toEqual(["Bash", "Bash (subagent)", "Task"]);
  expect(after.calls.map(({ id }) => id)).toEqual(["Bash (subagent)", "Task"]);
  expect(standingOf(after)).toBe("running");
});

it("a call that has ended, or that the user refused, is never open again; a prompt ends no call that is open", () => {
  const property = fc.property(history, fc.constantFrom(...ids), (all, id) => {
    const refused = "The user doesn't want to proceed with this tool use.";
    const over: journal.JournalRow = {
      seq: 98,
      at: T0 + 30_000,
      entry: { kind: "tool_error", id, name: "Bash", input: "", text: refused },
    };
    const closed: journal.JournalRow = { seq: 99, at: T0 + 30_001, entry: { kind: "detached", reason: "interrupted" } };
    expect(life(newLife, [...all, over, closed]).calls.map((call) => call.id)).not.toContain(id);
    const before = life(newLife, all);
    const after = life(before, [{ seq: 99, at: T0 + 30_000, entry: { kind: "prompt", text: "go" } }]);
    expect(after.calls).toEqual(before.calls.filter(({ isLost }) => !isLost));
  });
  fc.assert(property, { numRuns: 300 });
});

const call = { id: "a", name: "Bash", input: "npm run deploy" };
const at = (ms: number, entry: JournalEntry): journal.JournalRow => ({ seq: ms, at: T0 + ms, entry });
const prompt = at(0, { kind: "prompt", text: "deploy it" });
const begun = at(10, { kind: "tool_start", ...call });
const asked = at(20, { kind: "asks", for: "permission", call: "a" });
const refusal = "The user doesn't want to proceed with this tool use. The tool use was rejected.";

it.each<[string, Standing, journal.JournalRow[]]>([
  ["waits for leave", "asking", [prompt, begun, asked]],
  ["was given leave by words of the user", "running", [prompt, begun, asked, at(900, { kind: "answered" })]],
  ["has a question open", "asking", [prompt, at(10, { kind: "tool_start", ...call, name: "AskUserQuestion" })]],
  ["was refused", "working", [prompt, begun, asked, at(900, { kind: "tool_error", ...call, text: refusal })]],
  [
    "was refused, of which it is reported after the end of its turn",
    "interrupted",
    [prompt, begun, asked, at(901, { kind: "interrupted" }), at(900, { kind: "tool_error", ...call, text: refusal })],
  ],
  ["is typed at while a call runs", "running", [prompt, begun, at(5_000, { kind: "prompt", text: "and the docs" })]],
  ["has a new prompt and no call", "unanswered", [prompt, at(9, { kind: "turn_end" }), at(10, prompt.entry)]],
  [
    "said its last words late",
    "waiting",
    [prompt, at(9, { kind: "turn_end" }), at(1_999, { kind: "assistant", text: "." })],
  ],
  ["goes on by itself", "working", [prompt, at(9, { kind: "turn_end" }), at(3_000, { kind: "assistant", text: "." })]],
  ["met an error of its client", "failed", [prompt, at(9, { kind: "failure", text: "overloaded" })]],
  ["has a notice that it is idle", "unanswered", [prompt, at(60_000, { kind: "asks", for: "prompt" })]],
  ["is compacted in mid-turn", "running", [prompt, begun, at(90, { kind: "start", source: "compact" })]],
  ["was killed and is open again", "running", [prompt, begun, at(90, { kind: "start", source: "resume" })]],
])("a chat that %s: %s", (_name, standing, facts) => {
  expect(standingOf(life(newLife, facts))).toBe(standing);
});

it("a chat that is open again, or idle by its client's word, is in no turn until the next prompt", () => {
  for (const entry of [{ kind: "start", source: "resume" } as const, { kind: "asks", for: "prompt" } as const]) {
    const state = life(newLife, [prompt, begun, at(60_000, entry)]);
    expect(isInTurn(state)).toBe(false);
    expect(isInTurn(life(state, [at(70_000, prompt.entry)]))).toBe(true);
  }
  expect(isInTurn(null)).toBeNull();
});

it("a checkpoint of an earlier version says where its chat stood", () => {
  const { life: _life, ...fields } = emptyState;
  const words = [{ text: "Done.", at: T0 + 5 }];
  const stored = { ...fields, prompts: [{ text: "go", at: T0 }], words, runningTools: [], failure: null };
  const stands = (more: object): Standing => standingOf(toState({ ...stored, ...more }).life);
  expect(stands({ turnEndedAt: T0 + 9, interruptedAt: null })).toBe("waiting");
  expect(stands({ turnEndedAt: null, interruptedAt: T0 + 9 })).toBe("interrupted");
  expect(stands({ runningTools: [{ ...call, startedAt: T0 + 2 }], turnEndedAt: null })).toBe("running");
  expect(stands({ turnEndedAt: T0 - 9, words: [] })).toBe("unanswered");
  expect(standingOf(toState(fields).life)).toBe("unknown");
  expect(toState(emptyState)).toBe(emptyState);
});
