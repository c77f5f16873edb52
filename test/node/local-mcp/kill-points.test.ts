import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it } from "vitest";
import type { WorkState } from "#src/contract/work-state.ts";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { restore } from "#src/machine/recovery/incomplete/restoration.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import type { JournalRow } from "#src/machine/sessions/journal.ts";
import type { Session } from "#src/machine/sessions/sessions.ts";
import { emptyState, fold } from "#src/machine/sessions/work-state.ts";
import { Claude, storedSession, aChat, stateOf } from "#harness/machine/claude.ts";
import { type TempRuntime } from "#harness/machine/temp-runtime.ts";

const prompts = [
  "Translate the museum guide into Danish. Always keep the room numbers.",
  "yes",
  "Use the formal address throughout.",
  "also add a glossary",
  "Never translate the names of painters",
  "Actually no formal address, use the informal one",
  "continue",
  "What is the longest chapter?",
  "Now prepare the audio script for room 12, at most 90 seconds",
  `Here is the log:\n${"2031-02-03T04:05:06Z pump: on\n".repeat(2)}Find out why the pump stops. Never restart it.`,
  "ok",
  "Let's go with a female voice instead of the male voice",
  "weiter",
  "Write the label for the statue of Ariadne",
];

/** A session as hooks report it: turns with tools, errors, tasks, a dialog, a plan, subagents, compactions. One event per step. */
function* events(claude: Claude): Generator {
  yield claude.start();
  for (const [index, prompt] of [...prompts, ...prompts.slice(3)].entries()) {
    const file = join(claude.cwd, `part-${index % 4}.txt`);
    const todo = { content: `proofread part ${index}`, status: index % 2 ? "completed" : "pending" };
    yield claude.prompt(prompt);
    yield claude.use("Read", { file_path: file });
    yield claude.write(file, `text ${index}`);
    yield claude.use("TodoWrite", { todos: [todo] });
    yield claude.fail("Bash", { command: `aspell part-${index}` }, "Exit code 1");
    yield claude.begin("Bash", { command: `wc part-${index}` });
    if (index % 5 === 1) {
      const answers = { [`Which font for part ${index}?`]: "Garamond" };
      yield claude.use("AskUserQuestion", { questions: [] }, { answers });
      const subagent = { agent_id: `a${index}`, agent_type: "Explore" };
      yield claude.tell("SubagentStop", { ...subagent, last_assistant_message: "found" });
    }
    if (index === 4) yield claude.use("ExitPlanMode", { plan: "# Guide\n1. rooms" }, { plan: "# Guide\n1. rooms" });
    yield claude.stop(`Part ${index} stands. Shall I read part ${index + 1} next?`);
    if (index % 6 === 3) yield claude.compact(`6. All user messages:\n- guide ${index}`);
  }
}

function rowsOf(runtime: TempRuntime, session: string): JournalRow[] {
  return runtime.store.read((sql) => journal.list(sql, session, 0, 100_000), []);
}

function said(rows: readonly JournalRow[]): string[] {
  return rows.flatMap(({ entry }) => (entry.kind === "prompt" ? [entry.text] : []));
}

function texts({ prompts: all }: WorkState): string[] {
  return all.map(({ text }) => text);
}

/** What an entry alone adds to the state. */
function expectItsOwn(state: WorkState, { entry, at }: JournalRow): void {
  if (entry.kind === "tool_start") expect(state.runningTools.at(-1)?.id).toBe(entry.id);
  if (entry.kind === "prompt") expect(state.prompts.at(-1)).toMatchObject({ text: entry.text, at });
  if (entry.kind === "assistant") expect(state.words).toContainEqual({ text: entry.text, at });
  if (entry.kind === "plan") expect(state.plan).toMatchObject({ text: entry.text, at });
  if (entry.kind === "todos") expect(state.todos).toEqual(entry.todos);
  if (entry.kind !== "answers") return;
  expect(state.answers).toEqual(expect.arrayContaining(entry.answers.map((one) => ({ ...one, at }))));
}

it("cut at every row of the journal: nothing acknowledged is missing, and parts give the whole @night", () => {
  const { runtime, claude } = aChat();
  expect([...events(claude)].length).toBeGreaterThan(150);
  const rows = rowsOf(runtime, claude.session);
  const kinds = new Set(rows.map(({ entry }) => entry.kind));
  expect([...kinds]).toEqual(expect.arrayContaining(["answers", "plan", "compacted", "tool_error", "turn_end"]));
  let before = emptyState;
  for (const [index, row] of rows.entries()) {
    const state = fold(before, [row]);
    const until = rows.slice(0, index + 1);
    expect(texts(state)).toEqual(said(until));
    const touched = until.flatMap(({ entry }) => (entry.kind === "tool_end" && entry.path ? [entry.path] : []));
    expect(state.files.map(({ path }) => path).toSorted()).toEqual([...new Set(touched)].toSorted());
    expectItsOwn(state, row);
    if (index % 7 === 0) expect(fold(emptyState, until)).toEqual(state);
    before = state;
  }
});

/** The brief after a row: what was touched has changed since. */
function shownAfter(session: Session, state: WorkState): string {
  const files = state.files.map((file) => ({ ...file, now: "changed" as const }));
  const from = { session, state, files, head: null, checkpoint: null, knownUntil: session.lastSeenAt };
  return brief({ ...from, cause: "killed", causeDetail: "", snapshot: null }, session.lastSeenAt, "resume");
}

it("the brief at every cut quotes the prompts but old nods, the chat's last words and every changed file @night", () => {
  const { runtime, claude } = aChat();
  for (const _ of events(claude));
  const session = storedSession(runtime, claude.session);
  let state = emptyState;
  for (const row of rowsOf(runtime, claude.session)) {
    state = fold(state, [row]);
    if (row.entry.kind !== "prompt" && row.entry.kind !== "tool_end" && row.entry.kind !== "answers") continue;
    const shown = shownAfter(session, state);
    const nods = new Set(["yes", "continue", "ok", "weiter"]);
    const own = texts(state).filter((text, index, all) => !nods.has(text) || index >= all.length - 6);
    const quoted = own.map((text) => text.replaceAll(/\s+/g, " "));
    const held = [...quoted, state.words.at(-1)?.text ?? "", ...state.files.map(({ path }) => basename(path))];
    expect(held.filter((text) => !shown.includes(text))).toEqual([]);
  }
  expect(state.prompts.length).toBeGreaterThan(20);
});

it("killed after any event: checkpoint and journal give what the journal alone gives, and restoring twice gives the same @night", () => {
  const { runtime, claude } = aChat();
  writeFileSync(join(claude.cwd, "part-0.txt"), "old");
  let cuts = 0;
  for (const _ of events(claude)) {
    cuts += 1;
    const { files, git: _git, firstGit: _first, ...known } = stateOf(runtime, claude.session) ?? emptyState;
    const { files: noted, firstGit: _begun, ...told } = fold(emptyState, rowsOf(runtime, claude.session));
    expect(known).toEqual(told);
    expect(files.map(({ path, action }) => [path, action])).toEqual(noted.map(({ path, action }) => [path, action]));
    if (cuts % 4 !== 0) continue;
    const restored = (): string => {
      const from = restore(runtime, storedSession(runtime, claude.session));
      return from ? brief(from, runtime.now(), "resume") : "";
    };
    expect(restored()).toBe(restored());
  }
  expect(cuts).toBeGreaterThan(150);
});

it("/clear begins with nothing of the session before, which keeps all of its own", () => {
  const { runtime, claude } = aChat();
  const first = claude.session;
  const all = events(claude);
  for (let n = 0; n < 30; n++) all.next();
  const whole = fold(emptyState, rowsOf(runtime, first));
  claude.clear("5c1e0000-0000-4000-8000-000000000001");
  claude.prompt("Plan the opening party");
  const later = fold(emptyState, rowsOf(runtime, claude.session));
  expect([texts(later), later.words, later.files]).toEqual([["Plan the opening party"], [], []]);
  expect(fold(emptyState, rowsOf(runtime, first))).toMatchObject({ prompts: whole.prompts, words: whole.words });
});
