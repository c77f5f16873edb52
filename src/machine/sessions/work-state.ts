import { isRefusal } from "../../clients/adapter/harness-text.ts";
import type { WorkNotes } from "../../contract/checkpoint.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import type {
  DamagedParts,
  EndedCall,
  FileNote,
  Remark,
  StatedField,
  TodoItem,
  WorkState,
} from "../../contract/work-state.ts";
import { stored } from "../../contract/limits.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { interruptedOutput, withEffects } from "./effects.ts";
import { withFailures } from "./failures.ts";
import type { JournalRow } from "./journal.ts";
import { charsOf, shortened, withPrompt, type Said } from "./kept-prompts.ts";
import { bothEnds } from "./text/excerpt.ts";
import { wordsOf } from "./text/passages.ts";
import { goalOfCommand, isSlashCommand } from "./slash-command.ts";
import { absentReason } from "../../snapshots/file-state.ts";
import { interpret } from "../../platform/time-budget.ts";

/** Pure: no storage, no clock. Keeps what was said and done; nothing is concluded from words. */

const limits = {
  words: 8,
  firstWords: 3,
  calls: 5,
  outputs: 3,
  results: 6,
  names: 12,
  background: 10,
  takenBack: 5,
  answers: 30,
  todos: 200,
  droppedTodos: 8,
  edited: 100,
  list: 200,
  goal: 500,
  damaged: 50,
};

/** A shorter text announces the next call. */
const leastFirstWords = 120;

export const emptyState: WorkState = {
  goal: null,
  done: [],
  inProgress: [],
  nextStep: null,
  decisions: [],
  openQuestions: [],
  state: null,
  todos: [],
  statedAt: {},
  prompts: [],
  droppedPrompts: 0,
  words: [],
  earlierWords: [],
  firstWords: [],
  answers: [],
  files: [],
  calls: [],
  life: { turn: null, calls: [], stopped: [], asks: null },
  compactSummary: null,
  compactions: 0,
  plan: null,
  clientGoal: null,
};

/** Folding in parts gives the same as folding at once. */
export function fold(base: WorkState, rows: readonly JournalRow[]): WorkState {
  return rows.reduce((state, row) => apply(state, row.at, row.entry), base);
}

/** Keeps what the notes leave out. Lists of what was done, settled or asked grow. */
export function withNotes(state: WorkState, notes: WorkNotes, at: number): WorkState {
  const { files = [], replace, done, decisions, openQuestions, ...rest } = notes;
  const added = (known: readonly string[], more: readonly string[] | undefined): readonly string[] =>
    more === undefined ? known : replace ? more : [...new Set([...known, ...more])].slice(-limits.list);
  const next: WorkState = {
    ...state,
    ...omitUndefined(rest),
    done: added(state.done, done),
    decisions: added(state.decisions, decisions),
    openQuestions: added(state.openQuestions, openQuestions),
    files: files.reduce<readonly FileNote[]>((list, path) => withFile(list, path, "noted"), state.files),
  };
  return { ...next, statedAt: { ...state.statedAt, ...timesOfChanges(state, next, at) } };
}

export type Notes = NonNullable<NonNullable<WorkState["continues"]>["notes"]>;

/** Notes of the chat, and those of the sessions that it continues where it has none of its own. */
export function notesOf({ goal, nextStep, decisions, openQuestions, continues }: WorkState): Notes {
  const before = continues?.notes;
  return {
    goal: goal ?? before?.goal ?? null,
    nextStep: nextStep ?? before?.nextStep ?? null,
    decisions: [...new Set([...(before?.decisions ?? []), ...decisions])],
    openQuestions: [...new Set([...(before?.openQuestions ?? []), ...openQuestions])],
  };
}

const noted = ["goal", "done", "inProgress", "nextStep", "decisions", "openQuestions", "state", "todos"] as const;

/** A repetition keeps its age. */
function timesOfChanges(before: WorkState, after: WorkState, at: number): WorkState["statedAt"] {
  const changed = noted.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  return Object.fromEntries(changed.map((name) => [name, at]));
}

type EntryOf<Kind extends JournalKind> = Extract<JournalEntry, { kind: Kind }>;
type Appliers = { readonly [Kind in JournalKind]: (state: WorkState, at: number, entry: EntryOf<Kind>) => WorkState };

const unchanged = (state: WorkState): WorkState => state;

const appliers: Appliers = {
  prompt: (state, at, { text, from }) => applyPrompt(state, at, { text, ...(from === undefined ? {} : { from }) }),
  prompt_text: (state, _at, { said, text }) => ({
    ...state,
    prompts: state.prompts.map((one) => (one.at === said ? { ...one, text, ...charsOf(text) } : one)),
  }),
  taken_back: (state, _at, { said, until }) => withoutTakenBack(state, said, until),
  inherited: (state, at, { by, text, tool = "", error, from }) => {
    const call = { name: tool, input: text, at, ...(error === undefined ? {} : { error }) };
    const known = from === undefined ? state : { ...state, forkedFrom: from };
    if (by === "tool") return withEndedCall(known, call);
    return by === "user" ? applyPrompt(known, at, { text }) : withWords(known, { text, at });
  },
  assistant: (state, at, { text }) => withWords(state, { text, at }),
  tool_start: unchanged,
  tool_end: (state, at, entry) => {
    const { name, input, path, action, stamp, output, background, names, durationMs = 0 } = entry;
    const call = { name: action === "deleted" ? "Delete" : name, input, at, ...(output ? { output } : {}) };
    const files = path ? withFile(state.files, path, action ?? "noted", stamp) : state.files;
    const run = background === undefined ? [] : [{ id: background, name, input, startedAt: at - durationMs }];
    return {
      ...withEdited(withNames(withEndedCall(state, call), names), path, action),
      files: withoutRemoved(files, entry.removed),
      ...(run.length === 0 ? {} : { background: [...(state.background ?? []), ...run].slice(-limits.background) }),
    };
  },
  tool_error: (state, at, { name, input, text }) => withEndedCall(state, { name, input, at, error: text }),
  todos: (state, at, { todos }) => withTodos(withDropped(state, at, todos), at, todos),
  todo: (state, at, { todo }) => withTodos(state, at, changeTodo(state.todos, todo)),
  todo_removed: (state, at, { id }) =>
    withTodos(
      state,
      at,
      state.todos.filter((todo) => todo.id !== id),
    ),
  compacted: ({ editedSince: _edited, ...state }, at, { summary }) => ({
    ...stated(state, summary === "" ? "compaction" : "summary", at),
    compactSummary: summary === "" ? state.compactSummary : summary,
    compactions: state.compactions + 1,
  }),
  failure: unchanged,
  turn_end: unchanged,
  interrupted: unchanged,
  asks: unchanged,
  answered: unchanged,
  continues: (state, _at, { kind: _kind, ...continues }) => ({ ...state, continues }),
  answers: (state, at, { answers }) => ({
    ...state,
    answers: [...state.answers, ...answers.map((one) => ({ ...one, at }))].slice(-limits.answers),
  }),
  plan: (state, at, { text, path }) => ({ ...state, plan: { text, at, ...(path ? { path } : {}) } }),
  end: unchanged,
  start: (state, _at, { git, writtenGit }) => ({
    ...state,
    ...(git && !state.firstGit ? { firstGit: git } : {}),
    ...(writtenGit ? { writtenGit } : {}),
  }),
  compacting: unchanged,
  given_back: unchanged,
  subagent_end: (state, at, { text, id }) => {
    const { results = [] } = state;
    // Event, result of the call and transcript may each have it.
    const isKnown = text === "" || results.some((one) => one.text === text);
    const all = isKnown ? results : [...results, { text, at }].slice(-limits.results);
    return { ...withoutBackground(state, id), results: all };
  },
  exited: unchanged,
  background_end: (state, _at, { id }) => withoutBackground(state, id),
  recap: (state, at, { text }) => ({ ...state, recap: { text, at } }),
  named: (state, _at, { names }) => withNames(state, names),
  unread: (state, at, { of }) => {
    const damaged = { parts: [{ at, bytes: 0 }], count: 1 };
    return of === "transcript" ? { ...state, damaged: withDamaged(state.damaged, damaged) } : state;
  },
  damaged: (state, _at, { kind: _kind, ...damaged }) => ({ ...state, damaged: withDamaged(state.damaged, damaged) }),
  detached: withoutCutOff,
};

function apply(state: WorkState, at: number, entry: JournalEntry): WorkState {
  // TypeScript cannot follow the table through an index. Kinds of a newer program are ignored.
  const applier = appliers[entry.kind] as
    | ((state: WorkState, at: number, entry: JournalEntry) => WorkState)
    | undefined;
  const next = applier ? applier(state, at, entry) : state;
  const effects = withEffects(next.effects ?? [], at, entry);
  const failures = withFailures(next.failures ?? [], at, entry);
  return {
    ...next,
    ...(effects.length === 0 ? {} : { effects }),
    ...(failures.length === 0 && next.failures === undefined ? {} : { failures }),
  };
}

/** Commands of the client are not prompts. */
function applyPrompt(state: WorkState, at: number, said: Said): WorkState {
  const { text } = said;
  const goal = goalOfCommand(text);
  if (goal !== null) {
    const { condition } = goal;
    return { ...state, clientGoal: condition === null ? null : { text: condition.slice(0, limits.goal), at } };
  }
  return isRequest(text) ? withPrompt(state, at, said) : state;
}

/** Whether a prompt of the journal is one of the state's. */
export function isRequest(text: string): boolean {
  return goalOfCommand(text) === null && !isSlashCommand(text);
}

/** Leaves out a prompt and the words since, until another one. The work of its calls stays done. */
function withoutTakenBack(state: WorkState, said: number, until: number): WorkState {
  const isKept = ({ at }: { readonly at: number }): boolean => at < said || at >= until;
  const { plan, clientGoal } = state;
  const prompts = state.prompts.filter(isKept);
  const gone = state.prompts.filter((one) => !isKept(one)).map(({ answers: _answers, ...one }) => shortened(one));
  return {
    ...state,
    prompts,
    takenBack: [...(state.takenBack ?? []), ...gone].slice(-limits.takenBack),
    words: state.words.filter(isKept),
    earlierWords: state.earlierWords.filter(isKept),
    firstWords: state.firstWords.filter(isKept),
    answers: state.answers.filter(isKept),
    calls: state.calls.filter(isKept),
    plan: plan !== null && isKept(plan) ? plan : null,
    clientGoal: clientGoal !== null && isKept(clientGoal) ? clientGoal : null,
  };
}

function withDamaged(known: DamagedParts | undefined, more: DamagedParts): DamagedParts {
  if (!known) return more;
  const parts = [...known.parts, ...more.parts].slice(-limits.damaged);
  return { ...known, ...more, parts, count: known.count + more.count };
}

function withWords(state: WorkState, remark: Remark): WorkState {
  const { firstWords, prompts } = state;
  const isFirst = firstWords.length < limits.firstWords && remark.at >= (prompts.at(-1)?.at ?? 0);
  const isLong = remark.text.trim().length >= leastFirstWords;
  return {
    ...state,
    words: inOrder(state.words, remark).slice(-limits.words),
    firstWords:
      isFirst && isLong ? [...firstWords, { ...remark, text: bothEnds(remark.text, stored.firstWords) }] : firstWords,
  };
}

/** In the order of their time: a transcript may be read after the end of its turn. */
function inOrder<One extends { readonly at: number }>(all: readonly One[], one: One): readonly One[] {
  return all.toSpliced(all.findLastIndex(({ at }) => at <= one.at) + 1, 0, one);
}

function stated(state: WorkState, field: StatedField, at: number): WorkState {
  return { ...state, statedAt: { ...state.statedAt, [field]: at } };
}

function withTodos(state: WorkState, at: number, todos: readonly TodoItem[]): WorkState {
  return { ...stated(state, "todos", at), todos };
}

/** Share of the words of a to-do by which another one is that to-do in other words. */
const rewordedShare = 0.5;

/** Open to-dos that the next list leaves out; one that comes back is dropped no more. */
function withDropped(state: WorkState, at: number, next: readonly TodoItem[]): WorkState {
  const lists = next.map(({ text }) => new Set(wordsOf(text)));
  const isIn = (text: string): boolean => {
    const words = wordsOf(text);
    return lists.some((list) => words.filter((word) => list.has(word)).length >= words.length * rewordedShare);
  };
  const open = state.todos.filter(({ status }) => status !== "completed").map(({ text }) => ({ text, at }));
  const known = (state.droppedTodos ?? []).filter(({ text }) => open.every((one) => one.text !== text));
  const droppedTodos = [...known, ...open].filter(({ text }) => !isIn(text)).slice(-limits.droppedTodos);
  return droppedTodos.length === 0 && state.droppedTodos === undefined ? state : { ...state, droppedTodos };
}

function withEdited(state: WorkState, path: string | undefined, action: FileNote["action"] | undefined): WorkState {
  if (path === undefined || state.compactions === 0 || !isEdited(action === undefined ? {} : { action })) return state;
  const others = (state.editedSince ?? []).filter((one) => one !== path);
  return { ...state, editedSince: [...others, path].slice(-limits.edited) };
}

function changeTodo(todos: readonly TodoItem[], change: Partial<TodoItem> & { readonly id: string }): TodoItem[] {
  const known = todos.find((todo) => todo.id === change.id);
  const changed: TodoItem = { text: `task ${change.id}`, status: "pending", ...known, ...change };
  return known ? todos.map((todo) => (todo === known ? changed : todo)) : [...todos, changed].slice(-limits.todos);
}

/** State shows what these have changed unless they failed; SHIM's own calls are no work. */
const bookkeeping =
  /^(?:AskUserQuestion|ExitPlanMode|TodoWrite|Task(?:Create|Update|List|Get)|update_plan|(?:mcp__)?(?:plugin_)?shim_)/;

function withEndedCall(state: WorkState, call: EndedCall): WorkState {
  if (bookkeeping.test(call.name) && call.error === undefined) return state;
  const calls = inOrder(state.calls, call);
  const shown = new Set(calls.filter(({ output }) => output !== undefined).slice(-limits.outputs));
  const kept = calls.filter((one, index) => index >= calls.length - limits.calls || shown.has(one));
  return { ...state, calls: kept };
}

/** A repetition comes to the end of the list. */
function withNames(state: WorkState, more: readonly string[] = []): WorkState {
  if (more.length === 0) return state;
  const others = (state.names ?? []).filter((name) => !more.includes(name));
  return { ...state, names: [...others, ...more].slice(-limits.names) };
}

function withoutBackground(state: WorkState, id: string | undefined): WorkState {
  const { background = [] } = state;
  return background.some((run) => run.id === id)
    ? { ...state, background: background.filter((run) => run.id !== id) }
    : state;
}

/** Files that are not known yet are added, since git may miss them. */
function withoutRemoved(files: readonly FileNote[], removed: readonly string[] = []): readonly FileNote[] {
  return removed.reduce((known, pattern) => {
    const isPath = !pattern.includes("*") && known.every(({ path }) => path !== pattern);
    const isOf = removalOf(pattern);
    const all = isPath ? withFile(known, pattern, "noted") : known;
    return all.map((file) => (isOf(file.path) ? Object.assign({}, file, { isRemoved: true as const }) : file));
  }, files);
}

/** A path, all below it, or the names that a `*` stands for. */
function removalOf(pattern: string): (path: string) => boolean {
  if (!pattern.includes("*")) return (path) => path === pattern || path.startsWith(`${pattern}/`);
  const parts = pattern.split("*");
  const [first = ""] = parts;
  const folder = first.slice(0, first.lastIndexOf("/") + 1);
  return (path) => {
    if (!path.startsWith(folder)) return false;
    let at = folder.length;
    for (const part of [first.slice(folder.length), ...parts.slice(1)]) {
      const found = path.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at === path.length || pattern.endsWith("*");
  };
}

/** A client that is asked to end stops its calls first, and may report them as failed. */
const maxEndMs = 3_000;

/** Calls that were stopped as the client ended have not ended: see `Life.stopped`. */
function withoutCutOff(state: WorkState, at: number): WorkState {
  const isCutOff = ({ error = "", at: endedAt }: EndedCall): boolean =>
    at - endedAt <= maxEndMs && interruptedOutput.test(error) && !isRefusal(error);
  return { ...state, calls: state.calls.filter((call) => !isCutOff(call)) };
}

const maxFiles = 200;

const editedSinceText = "no checkpoint since its last edit";

/** Adds a file, newest last. An edited file stays edited when it is read again. */
function withFile(
  files: readonly FileNote[],
  path: string,
  action: FileNote["action"],
  stamp?: FileNote["stamp"],
): readonly FileNote[] {
  const existing = files.find((file) => file.path === path);
  const isWeaker = action === "read" || action === "noted";
  const note: FileNote =
    existing && isWeaker
      ? existing
      : {
          path,
          hash: null,
          action,
          ...(isWeaker
            ? {}
            : { skipped: action === "deleted" ? absentReason : editedSinceText, ...(stamp ? { stamp } : {}) }),
        };
  return [...files.filter((file) => file !== existing), note].slice(-maxFiles);
}

export function isEdited({ action }: Partial<Pick<FileNote, "action">>): boolean {
  return action === "edited" || action === "created" || action === "deleted";
}

interface FoldedRows {
  readonly state: WorkState;
  /** Positions of the rows that took too long; the state is as if they were not there. */
  readonly unread: readonly number[];
}

/** Folds rows, each within its budget of time. */
export function foldWithinBudget(base: WorkState, rows: readonly JournalRow[]): FoldedRows {
  const unread: number[] = [];
  let [state, folded] = [base, 0];
  while (folded < rows.length) {
    interpret(() => {
      for (const row of rows.slice(folded)) {
        state = fold(state, [row]);
        folded += 1;
      }
    });
    const row = rows[folded];
    if (row === undefined) break;
    // Many rows together may have taken the time.
    const one = interpret(() => fold(state, [row]));
    if (one === null) unread.push(row.seq);
    else state = one;
    folded += 1;
  }
  return { state, unread };
}
