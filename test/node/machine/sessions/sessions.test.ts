import * as clients from "#src/machine/sessions/clients.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import * as fc from "fast-check";
import * as journal from "#src/machine/sessions/journal.ts";
import { expect, it } from "vitest";
import { rowCount, storedSession, stateOf } from "#harness/machine/claude.ts";
import { T0, tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { append, listNewest } from "#src/machine/sessions/machine-audit.ts";
import { start } from "#src/machine/learning/machine-trials.ts";
import { pastChats } from "#harness/experiments/trials.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { HookEvent } from "#src/contract/hooks.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { addSession } from "#harness/store/store-rows.ts";

function see(runtime: TempRuntime, overrides: Partial<sessions.Sighting> = {}): sessions.Session {
  const sighting = { id: "s1", client: "claude-code", origin: "startup", owner: null, isAlive: true, ...overrides };
  return runtime.store.write((sql) => sessions.recordSighting(sql, runtime.now(), sighting));
}

it("the first sign of life makes the session, later ones refresh it; its project and origin stay", () => {
  const runtime = tempRuntime();
  const owner = runtime.processes.start(7);
  const first = { project: null, cwd: "/p/a", startedAt: T0, lastSeenAt: T0, owner: null };
  expect(see(runtime, { cwd: "/p/a" })).toMatchObject(first);
  runtime.wait(5);
  see(runtime, { project: "/p", owner, model: "m", origin: "resume" });
  runtime.wait(5);
  const kept = { project: "/p", cwd: "/tmp", model: "m", origin: "startup", owner, startedAt: T0 };
  expect(see(runtime, { project: "/tmp", cwd: "/tmp" })).toMatchObject({ ...kept, lastSeenAt: T0 + 10 });
  runtime.clock.now = T0 - 1_000;
  expect(see(runtime).lastSeenAt).toBe(T0 + 10);
});

it("the first detachment is kept, and does not end the session; after the end there is none", () => {
  const runtime = tempRuntime();
  see(runtime);
  runtime.store.write((sql) => {
    sessions.detach(sql, T0 + 1, "s1", "sigint");
    sessions.detach(sql, T0 + 2, "s1", "stdin_end");
  });
  expect(storedSession(runtime, "s1")).toMatchObject({ detachedAt: T0 + 1, detachReason: "sigint", endedAt: null });
  see(runtime, { id: "s2" });
  runtime.store.write((sql) => {
    sessions.end(sql, T0, "s2", "clear");
    sessions.detach(sql, T0 + 1, "s2", "sigint");
  });
  expect(storedSession(runtime, "s2").detachedAt).toBeNull();
});

it("a client process is in one session at a time: its row is replaced; another process of the same number has its own", () => {
  const runtime = tempRuntime();
  const client = runtime.processes.start(7);
  const current = (): ReturnType<typeof clients.current> =>
    runtime.store.read((sql) => clients.current(sql, client), null);
  expect(current()).toBeNull();
  for (const session of ["a", "b"]) {
    runtime.store.write((sql) => clients.moveTo(sql, T0, client, { givenId: "given", session }));
    expect(current()).toEqual({ givenId: "given", session });
  }
  const again = runtime.processes.start(7);
  expect(runtime.store.read((sql) => clients.current(sql, again), null)).toBeNull();
  expect(rowCount(runtime, "clients")).toBe(1);
});

const trial = { key: "checkpoint.everyToolCalls", to: 8, reason: "to see", replay: null };

it("an entry is there when its decision is, with its time, also for another process", () => {
  const runtime = tempRuntime();
  pastChats(runtime);
  const started = start(runtime, trial, "live page");
  if (!started.ok) throw new Error(started.error.code);
  const stopped = { kind: "experiment.stopped", experiment: started.value.id, session: null } as const;
  // The process dies after the commit: nothing follows.
  runtime.store.write((sql) => append(sql, runtime.now(), { ...stopped, by: "command line", result: "done" }));
  runtime.wait(60_000);
  const next = tempRuntime({ beside: runtime });
  expect(listNewest(next, 5)).toMatchObject([
    { kind: "experiment.stopped", subject: started.value.id, actor: "command line", ageMs: 60_000 },
    { kind: "experiment.started", subject: started.value.id, actor: "live page", ageMs: 60_000 },
  ]);
});

function begin(runtime: TempRuntime, id = "s1"): void {
  runtime.store.write((sql) => addSession(sql, { id, project: null, title: null }));
}

/** The state without what a checkpoint finds out by looking at the disk. */
function known(runtime: TempRuntime, id: string): unknown {
  const state = stateOf(runtime, id);
  return { ...state, files: state?.files.map(({ path, action }) => ({ path, action })) };
}

it("more journal than one read takes is folded to its end; a kind that a newer program has written changes nothing", () => {
  const runtime = tempRuntime();
  begin(runtime);
  runtime.store.write((sql) => {
    for (let index = 0; index < 5_001; index++)
      journal.append(sql, "s1", T0, String(index), { kind: "prompt", text: `prompt ${index}` });
    journal.append(sql, "s1", T0, "newer", { kind: "from_the_future" } as unknown as JournalEntry);
  });
  expect(stateOf(runtime, "s1")?.prompts.at(-1)?.text).toBe("prompt 5000");
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

it("a session whose events are each reported once to three times, at once or late, ends up the same @night", () => {
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

/** What is known at the end. An event's own time counts when it is first reported; its repeats come at the time of the last one. */
function play(runtime: TempRuntime, id: string, reported: readonly Event[], order: readonly Event[]): unknown {
  const seen = new Set<Event>();
  for (const each of reported) {
    if (!seen.has(each)) runtime.clock.now = T0 + order.indexOf(each) * 1_000;
    seen.add(each);
    const [event, given] = each;
    const input = { session_id: id, cwd: "/nonexistent", hook_event_name: event, ...given };
    answerHook(runtime, event, () => JSON.stringify(input), 1);
  }
  const { toolCalls, toolErrors, title, endedAt } = storedSession(runtime, id);
  return { toolCalls, toolErrors, title, endedAt, state: known(runtime, id) };
}
