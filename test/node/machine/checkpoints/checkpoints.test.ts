import * as checkpoints from "#src/machine/sessions/checkpoints/checkpoints.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as fc from "fast-check";
import { rmSync, writeFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { aProject, listCheckpoints, rowCount, storedSession, stateOf, aChat } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions, T0 } from "#harness/machine/temp-runtime.ts";
import { addSession, column } from "#harness/store/store-test.ts";
import { indexPending } from "#src/store/text-index.ts";
import { hookEvents, type HookEvent } from "#src/contract/hooks.ts";
import { countedTrigger, eventTrigger } from "#src/machine/sessions/checkpoints/triggers.ts";
import { countTrigger, type SaveFacts } from "#src/machine/sessions/signals/risk.ts";
import { defaults } from "#src/contract/config.ts";
import { isRiskyCommand } from "#src/machine/sessions/checkpoints/risky-commands.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";
import { findAwaited } from "#src/snapshots/stored-snapshots.ts";
import type { Trigger } from "#src/contract/checkpoint.ts";
import type { ChangingCall } from "#src/machine/sessions/checkpoints/changing-calls.ts";
import { filesAt, listMoments, type FilesOfSession } from "#src/machine/files/moments.ts";
import type { Moment, SavedFiles } from "#src/machine/files/moments.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";

/** A machine with one session. */
function begun(options: TempRuntimeOptions = {}, project: string | null = null): TempRuntime {
  const runtime = tempRuntime(options);
  runtime.store.write((sql) => addSession(sql, { id: "s1", project, title: null }));
  return runtime;
}

function say(runtime: TempRuntime, text: string): void {
  runtime.store.write((sql) => journal.append(sql, "s1", runtime.now(), text, { kind: "prompt", text }));
}

function save(runtime: TempRuntime, notes: object = {}): ReturnType<typeof capture> {
  return capture(runtime, { sessionId: "s1", trigger: "on_demand", notes });
}

function all(runtime: TempRuntime): checkpoints.Checkpoint[] {
  return runtime.store.read((sql) => listCheckpoints(sql, { sessions: ["s1"] }), []);
}

/** Something happens once while a capture puts its state together: after it has read, before it writes. */
function meanwhile(runtime: TempRuntime, happens: () => void): TempRuntime {
  let hasHappened = false;
  return {
    ...runtime,
    get config() {
      if (!hasHappened) happens();
      hasHappened = true;
      return runtime.config;
    },
  };
}

it("a state that has not changed, with its files, is not stored again; the session counts as saved all the same", () => {
  const runtime = begun();
  const first = save(runtime, { goal: "fix it" });
  expect(first).toMatchObject({ ok: true, value: { isNew: true, checkpoint: { trigger: "on_demand" } } });
  runtime.wait(1_000);
  const id = first.ok ? first.value.checkpoint.id : null;
  expect(save(runtime, { goal: "fix it" })).toMatchObject({ value: { isNew: false, checkpoint: { id } } });
  expect(storedSession(runtime, "s1").savedAt).toBe(runtime.now());
  expect(save(runtime, { goal: "fix that" })).toMatchObject({ value: { isNew: true } });
  expect(rowCount(runtime, "checkpoints")).toBe(2);
  const path = join(aProject(), "a.ts");
  writeFileSync(path, "one");
  save(runtime, { files: [path] });
  writeFileSync(path, "two");
  expect([save(runtime), save(runtime)]).toMatchObject([{ value: { isNew: true } }, { value: { isNew: false } }]);
});

it("nothing is stored of a session that is unknown, or of which nothing is known", () => {
  expect(save(tempRuntime())).toEqual({ ok: false, error: { code: "unknown_session" } });
  const runtime = begun({}, aProject());
  expect(save(runtime)).toEqual({ ok: false, error: { code: "nothing_to_save" } });
  expect(rowCount(runtime, "checkpoints")).toBe(0);
});

it("a session that is deleted while its state is put together is not stored again", () => {
  const runtime = begun();
  say(runtime, "private plans");
  const racing = meanwhile(runtime, () => runtime.store.write((sql) => forget(sql, { session: "s1" })));
  expect(capture(racing, { sessionId: "s1", trigger: "time" })).toMatchObject({ error: { code: "unknown_session" } });
  expect(rowCount(runtime, "checkpoints")).toBe(0);
});

it("over the limit older prompts go; what the chat gave is refused with its size, never cut", () => {
  const runtime = begun({ config: { checkpoint: { maxBytes: 8_000 } } });
  for (let turn = 0; turn < 20; turn++) {
    say(runtime, `${turn} ${"x".repeat(1_000)}`);
    runtime.wait(1);
  }
  expect(save(runtime)).toMatchObject({ ok: true });
  const seq = all(runtime)[0]?.seq ?? 0;
  const state = runtime.store.read((sql) => checkpoints.requireState(sql, seq), null);
  expect(state?.prompts.map(({ text }) => text.split(" ", 1)[0])).toEqual(["0", "14", "15", "16", "17", "18", "19"]);
  expect(state?.droppedPrompts).toBe(13);
  runtime.store.write((sql) => sql.run("DELETE FROM journal WHERE seq < (SELECT max(seq) FROM journal)"));
  const numbers = runtime.store.read((sql) => listMoments(sql, "s1"), []).map(({ number }) => number);
  expect(numbers).toEqual([1, 15, 16, 17, 18, 19, 20]);
  const decisions = Array.from({ length: 10 }, (_, index) => `${index} ${"d".repeat(1_000)}`);
  const error = { code: "too_large", maxBytes: 8_000, largest: "decisions" };
  expect(save(runtime, { decisions })).toMatchObject({ ok: false, error });
  expect(all(runtime)).toHaveLength(1);
});

it("a damaged checkpoint is found out; the state is made from the one before and the journal", () => {
  const runtime = begun();
  say(runtime, "one");
  save(runtime, { goal: "the goal" });
  say(runtime, "two lids");
  save(runtime);
  const prompts = [{ text: "one" }, { text: "two lids" }];
  const seq = all(runtime)[0]?.seq ?? 0;
  const required = (of: number) => () => runtime.store.read((sql) => checkpoints.requireState(sql, of), null);
  for (const damage of ["zeroblob(40)", "substr(body, 1, 10)"]) {
    runtime.store.write((sql) => sql.run(`UPDATE checkpoints SET body = ${damage} WHERE seq = ?`, seq));
    expect(required(seq)).toThrow(/is damaged/);
    expect(stateOf(runtime, "s1")).toMatchObject({ goal: "the goal", prompts });
  }
  // A process that has none of the states in memory.
  expect(save(tempRuntime({ beside: runtime }))).toMatchObject({ value: { isNew: true } });
  runtime.store.write((sql) => sql.run("UPDATE checkpoints SET body = zeroblob(40)"));
  expect(stateOf(runtime, "s1")).toMatchObject({ goal: null, prompts });
  expect(required(999)).toThrow(/no checkpoint number 999/);
  expect(runtime.store.read((sql) => checkpoints.findState(sql, 999), null)).toBeNull();
});

it("two processes that save one session lose nothing of each other, also with states kept in memory", () => {
  const runtime = begun();
  const other = tempRuntime({ beside: runtime });
  save(runtime, { goal: "goal" });
  save(other, { nextStep: "next" });
  save(runtime, { decisions: ["decided"] });
  save(other, { done: ["done"] });
  const whole = { goal: "goal", nextStep: "next", decisions: ["decided"], done: ["done"] };
  expect(stateOf(runtime, "s1")).toMatchObject(whole);
});

it("sessions that were offered to each other continue each other once", () => {
  const runtime = begun();
  say(runtime, "one");
  runtime.store.write((sql) => {
    addSession(sql, { id: "s2" });
    journal.append(sql, "s2", T0, "two", { kind: "prompt", text: "two" });
    recoveries.add(sql, { at: T0, session: "s1", action: "offered", by: "s2" });
    recoveries.add(sql, { at: T0, session: "s2", action: "offered", by: "s1" });
  });
  save(runtime);
  expect(stateOf(runtime, "s1")?.continues).toMatchObject({ session: "s2", prompts: [{ text: "two" }] });
});

it("a state kept in memory is not taken for another checkpoint that got the deleted one's number", () => {
  const runtime = begun();
  save(runtime, { goal: "deleted" });
  runtime.store.write((sql) => sql.run("DELETE FROM checkpoints"));
  save(tempRuntime({ beside: runtime }), { goal: "other" });
  save(runtime, { nextStep: "next" });
  expect(stateOf(runtime, "s1")).toMatchObject({ goal: "other", nextStep: "next" });
});

it("where snapshots are switched off none is asked for", () => {
  const runtime = begun({ config: { snapshots: { isEnabled: false } } }, aProject());
  save(runtime, { goal: "one" });
  expect(rowCount(runtime, "snapshots")).toBe(0);
});

it("a checkpoint in git records branch and commit, and requests the files", () => {
  const project = aProject();
  const runtime = begun({}, project);
  save(runtime, { goal: "one" });
  save(runtime, { goal: "two" });
  expect(stateOf(runtime, "s1")?.git).toEqual({ branch: "main", commit: "a1".repeat(20) });
  const states = runtime.store.read((sql) => column(sql, "SELECT state FROM snapshots ORDER BY state"), []);
  expect(states).toEqual(["pending", "pending"]);
  writeFileSync(join(project, ".git/refs/heads/main"), `${"b2".repeat(20)}\n`);
  save(runtime, { goal: "two, committed" });
  const commits = { git: { commit: "b2".repeat(20) }, firstGit: { commit: "a1".repeat(20) } };
  expect(stateOf(runtime, "s1")).toMatchObject(commits);
  rmSync(join(project, ".git"), { recursive: true });
  expect(save(runtime, { goal: "three" })).toMatchObject({ ok: true });
});

let count = 0;

function add(runtime: TempRuntime, overrides: Partial<checkpoints.NewCheckpoint> = {}): number {
  const packed = { hash: "h", rawBytes: 2, body: Buffer.from("{}") };
  const id = `cp_${(count += 1)}`;
  const base = { id, session: "s1", at: T0, trigger: "time", journalSeq: 0, redactions: 0, summary: "s" } as const;
  return runtime.store.write((sql) => checkpoints.insert(sql, { ...base, ...packed, ...overrides }));
}

function found(runtime: TempRuntime, filter: checkpoints.CheckpointFilter): string[] {
  runtime.store.write(indexPending);
  return runtime.store.read((sql) => listCheckpoints(sql, filter), []).map(({ id }) => id);
}

it("both ends of the time of a search belong to it", () => {
  const runtime = tempRuntime();
  for (const [index, id] of ["a", "b", "c"].entries()) add(runtime, { id, at: T0 + index });
  expect(found(runtime, { since: T0 + 1, until: T0 + 2 })).toEqual(["c", "b"]);
});

it("no character of a search is an operator; a search without a word finds nothing", () => {
  const runtime = tempRuntime();
  add(runtime, { id: "a", summary: 'say "stop" AND NOT (go) now* -x' });
  for (const text of ['"stop"', "AND", "NOT (go)", "now*", '"', "x OR y"]) found(runtime, { text });
  expect(found(runtime, { text: '"stop" AND' })).toEqual(["a"]);
  for (const text of ["", " - *", "stop y"]) expect(found(runtime, { text })).toEqual([]);
  const property = fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => void found(runtime, { text }));
  fc.assert(property, { numRuns: 50 });
});

const config = { ...defaults.checkpoint, beforeTools: ["Bash", "mcp__*__delete_*", "a.b"] };

function at(event: HookEvent, facts: Partial<SaveFacts> = {}): string | null {
  const calm = { toolCalls: 1, sinceSavedMs: 1_000, isRiskPending: false };
  return eventTrigger(event, { tool_name: "Read" }, config) ?? countedTrigger(event, { ...calm, ...facts }, config);
}

it("every end, compaction and switch of the model is a checkpoint; a start and a prompt are not", () => {
  const always = hookEvents.map((event) => `${event} ${at(event)}`).filter((line) => !line.endsWith("null"));
  const turnEnds = ["Stop turn_end", "StopFailure turn_end", "SessionEnd session_end"];
  const others = ["PreCompact compact", "PostCompact compact", "PreModelSwitch model_switch"];
  expect(always.toSorted()).toEqual([...turnEnds, ...others].toSorted());
});

it("after a tool: when the risk rose a level, every N calls, every M minutes, and when nothing was saved yet", () => {
  expect(at("PostToolUse")).toBeNull();
  expect(at("PostToolUse", { isRiskPending: true })).toBe("risk");
  expect(at("PostToolUseFailure", { toolCalls: 10 })).toBe("tools");
  expect(at("PostToolUse", { toolCalls: 9 })).toBeNull();
  expect(at("PostToolUse", { sinceSavedMs: 300_000 })).toBe("time");
  expect(at("PostToolUse", { sinceSavedMs: null })).toBe("time");
  expect(countTrigger({ toolCalls: 0, sinceSavedMs: 299_999 }, config)).toBeNull();
});

function before(tool: string | undefined): string | null {
  return eventTrigger("PreToolUse", { tool_name: tool, tool_input: {} }, config);
}

it("before a tool that the user marked as risky; * matches any text, all else only itself", () => {
  for (const tool of ["Bash", "mcp__files__delete_all", "a.b"]) expect(before(tool)).toBe("before_tool");
  for (const tool of ["BashOutput", "mcp__files__list", "aXb", undefined]) expect(before(tool)).toBeNull();
});

const isRisky = (command: string): boolean => isRiskyCommand("Bash", { command }, defaults.checkpoint);

it("of a corpus of commands those that destroy what no later one brings back are risky, behind any wrapper, and no others", () => {
  const url = new URL("../../../harness/machine/shell-commands.txt", import.meta.url);
  const [, ...lists] = readFileSync(url, "utf8").split(/^(?:risky|harmless):\n/m);
  // `⏎` is a line end in a command.
  const commands = lists.map((list) => list.trimEnd().split("\n"));
  const [risky = [], harmless = []] = commands.map((all) => all.map((line) => line.replaceAll("⏎", "\n")));
  expect(risky.filter((command) => !isRisky(command))).toEqual([]);
  expect(harmless.filter(isRisky)).toEqual([]);
  expect([risky.length, harmless.length]).toEqual([127, 43]);
});

it("the list is the user's to change, and an empty entry matches nothing", () => {
  const own = { beforeCommands: ["deploy.sh prod", "make *", "", "launch missiles", "a("] };
  const ran = (command: string): boolean => isRiskyCommand("Bash", { command }, own);
  expect(["./deploy.sh prod", "make all", "./run LAUNCH  missiles"].map(ran)).toEqual([true, true, true]);
  expect(["./deploy.sh test", "rm -rf src", "make"].map(ran)).toEqual([false, false, false]);
});

function newest(runtime: TempRuntime): string | undefined {
  return runtime.store.read((sql) => listCheckpoints(sql), [])[0]?.trigger;
}

it("before a risky command and before a compaction there is a checkpoint whose files are awaited", () => {
  const { runtime, claude } = aChat();
  claude.turn("tidy up");
  const awaited = (): boolean => runtime.store.read((sql) => findAwaited(sql, runtime.now()), null) !== null;
  claude.prompt("and reset");
  claude.begin("Bash", { command: "ls" });
  expect([newest(runtime), awaited()]).toEqual(["turn", true]);
  claude.begin("Bash", { command: "cd sub && git reset --hard" });
  expect([newest(runtime), awaited()]).toEqual(["before_tool", true]);
  runtime.wait(60_000);
  expect(awaited()).toBe(false);
  claude.prompt("go on");
  claude.tell("PreCompact", { trigger: "auto", custom_instructions: null });
  expect([newest(runtime), awaited()]).toEqual(["compact", true]);
});

it("before a switch to a model whose window is too small the user is asked; a client without a user is warned", () => {
  const { runtime, claude } = aChat();
  claude.turn("tidy up");
  const fields = { from_model: "claude-opus-5-5", to_model: "claude-haiku-4-5", context_tokens: 700_000 };
  const { hookSpecificOutput: asked } = claude.tell("PreModelSwitch", fields);
  const text = asked?.permissionDecisionReason;
  expect(text).toContain("700,000 tokens, and claude-haiku-4-5 takes 200,000");
  expect(asked).toMatchObject({ hookEventName: "PreModelSwitch", permissionDecision: "ask" });
  for (const change of [{ to_model: "some-other-model" }, { context_tokens: 100_000 }])
    expect(claude.tell("PreModelSwitch", { ...fields, ...change })).toEqual({});
  expect(claude.tell("PreModelSwitch")).toEqual({});
  runtime.env["CLAUDE_CODE_ENTRYPOINT"] = "sdk-ts";
  expect(claude.tell("PreModelSwitch", fields)).toEqual({ systemMessage: text });
});

it("no tool waits for the first snapshot of a project with a large index: that comes with the next checkpoint", () => {
  const { runtime, claude } = aChat();
  const atStart = (): Trigger[] => {
    const found = runtime.store.read((sql) => listCheckpoints(sql), []);
    return found.map(({ trigger }) => trigger).filter((trigger) => trigger === "turn");
  };
  writeFileSync(join(claude.cwd, ".git", "index"), Buffer.alloc(2_000_001));
  claude.turn("tidy up");
  expect(atStart()).toEqual([]);
  writeFileSync(join(claude.cwd, ".git", "index"), Buffer.alloc(2_000_000));
  claude.turn("go on");
  expect(atStart()).toEqual(["turn"]);
});

it("before the first tool of a turn that may change files their snapshot is awaited, once a turn", () => {
  const { runtime, claude } = aChat();
  const turns = (): number =>
    runtime.store.read((sql) => listCheckpoints(sql), []).filter(({ trigger }) => trigger === "turn").length;
  const saved = (state: string): void =>
    runtime.store.write((sql) => void sql.run("UPDATE snapshots SET state = ? WHERE state = 'pending'", state));
  claude.start();
  claude.prompt("tidy up");
  for (const tool of ["Read", "Grep", "TodoWrite", "mcp__shim__shim_chats"]) claude.use(tool, { path: "a" });
  expect(turns()).toBe(0);
  claude.begin("Edit", { file_path: "/a" });
  expect(turns()).toBe(1);
  expect(runtime.store.read((sql) => findAwaited(sql, runtime.now()), null)).not.toBeNull();
  saved("running");
  claude.begin("Write", { file_path: "/beside" });
  expect(turns()).toBe(2);
  saved("done");
  claude.begin("Bash", { command: "ls" });
  claude.stop();
  claude.begin("mcp__files__move", { from: "a" });
  expect(turns()).toBe(3);
  saved("failed");
  claude.begin("Write", { file_path: "/b" });
  expect(turns()).toBe(3);
  claude.prompt("and reset");
  claude.begin("Bash", { command: "git reset --hard" });
  saved("done");
  claude.begin("Bash", { command: "ls" });
  expect([turns(), newest(runtime)]).toEqual([3, "before_tool"]);
});

const kinds = ["prompt", "interrupt", "end", "write", "write", "begin", "begin", "begin", "checkpoint"] as const;
const step = fc.record({
  kind: fc.constantFrom(...kinds),
  /** Of the checkpoint before a call. */
  before: fc.constantFrom("turn" as const, "before_tool" as const, null),
  trigger: fc.constantFrom<Trigger>("turn_end", "time", "compact"),
  delay: fc.nat({ max: 3 }),
});
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** A chat as its journal, its snapshots and the truth: a version of the files, which each write of a running call raises. */
class Chat implements FilesOfSession {
  readonly moments: Moment[] = [];
  readonly saved: SavedFiles[] = [];
  readonly calls: ChangingCall[] = [];
  readonly versions = new Map<Moment | SavedFiles, number>();
  readonly #running: ChangingCall[] = [];
  readonly #late: { readonly due: number; readonly from: Omit<SavedFiles, "at"> }[] = [];
  #now = 0;
  #version = 0;

  do({ kind, before, trigger, delay }: Step): void {
    const row = (this.#now += 1);
    if (kind === "prompt") {
      const facts = { isTakenBack: false, copiedFrom: null };
      const moment = { number: this.moments.length + 1, at: row, text: "", seq: row, ...facts };
      this.moments.push(moment);
      this.versions.set(moment, this.#version);
    } else if (kind === "begin") {
      const call = { start: row, startAt: row, end: Infinity, endAt: Infinity };
      this.calls.push(call);
      // The hook answers when the files are read.
      if (before) this.#save(this.#checkpoint(before));
      this.#running.push(call);
    } else if (kind === "write") this.#version += this.#running.length > 0 ? 1 : 0;
    else if (kind === "checkpoint") this.#late.push({ due: row + delay, from: this.#checkpoint(trigger) });
    else {
      // The end of a turn ends the calls that have no end of their own.
      const over = this.#running.splice(0, kind === "end" ? 1 : Infinity);
      for (const call of over) Object.assign(call, { end: row, endAt: row });
    }
    for (const { due, from } of this.#late) if (due === row) this.#save(from);
  }

  #checkpoint(trigger: Trigger): Omit<SavedFiles, "at"> {
    const facts = { repository: "", commit: "", head: null, project: "", detail: "" };
    return { ...facts, checkpointId: `cp${this.#now}`, trigger, journalSeq: this.#now, checkpointAt: this.#now };
  }

  #save(from: Omit<SavedFiles, "at">): void {
    const saved = { ...from, at: this.#now };
    this.saved.push(saved);
    this.versions.set(saved, this.#version);
  }
}

it("whatever calls, checkpoints and interruptions there are, the files of a prompt are those of its moment, or none", () => {
  let found = 0;
  const property = fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
    const chat = new Chat();
    for (const one of steps) chat.do(one);
    for (const moment of chat.moments) {
      const saved = filesAt(chat, moment);
      if (saved === null) continue;
      found += 1;
      expect(chat.versions.get(saved)).toBe(chat.versions.get(moment));
    }
  });
  fc.assert(property, { numRuns: 2_000 });
  expect(found).toBeGreaterThan(500);
});
