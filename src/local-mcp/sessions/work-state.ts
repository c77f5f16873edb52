import type { WorkNotes } from "../../contract/checkpoint.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import type {
  EndedCall,
  FileNote,
  Remark,
  StatedField,
  TodoItem,
  ToolRun,
  WorkState,
} from "../../contract/work-state.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { withFile } from "./file-notes.ts";
import type { JournalRow } from "./journal.ts";
import { bothEnds } from "../text/excerpt.ts";
import { quoted, withPrompt } from "./prompts.ts";
import { goalOfCommand, isSlashCommand } from "./slash-command.ts";

/** Pure: no storage, no clock. Keeps what was said and done; nothing is concluded from words. */

const limits = { words: 8, firstWords: 3, calls: 5, answers: 30, runs: 50, todos: 200, list: 200, goal: 500 };

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
  runningTools: [],
  calls: [],
  cutOff: [],
  failure: null,
  turnEndedAt: null,
  interruptedAt: null,
  compactSummary: null,
  compactions: 0,
  plan: null,
  clientGoal: null,
};

/** [CP1] Folding in parts gives the same as folding at once. */
export function fold(base: WorkState, rows: readonly JournalRow[]): WorkState {
  return rows.reduce((state, row) => apply(state, row.at, row.entry), base);
}

/** [CP2] Keeps what the notes leave out. [CP24] Lists of what was done, settled or asked grow. */
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
  prompt: (state, at, { text }) => applyPrompt(state, at, text),
  assistant: (state, at, { text }) => withWords(state, { text, at }),
  tool_start: (state, at, { id, name, input }) => {
    const run = { id, name, input, startedAt: at };
    return { ...state, runningTools: [...stillRunning(state, run), run].slice(-limits.runs) };
  },
  tool_end: (state, at, { id, name, input, path, action, stamp, runsOn }) => ({
    ...withEndedCall(state, id, {
      name: action === "deleted" ? "Delete" : name,
      input,
      at,
      ...(runsOn ? { runsOn } : {}),
    }),
    files: path ? withFile(state.files, path, action ?? "noted", stamp) : state.files,
  }),
  tool_error: (state, at, { id, name, input, text }) => {
    const ended = withEndedCall(state, id, { name, input, at, error: text });
    if (!interruptedOutput.test(text)) return ended;
    const { startedAt = at } = state.runningTools.find((one) => one.id === id) ?? {};
    const run = { id, name, input, startedAt, cutOffAt: at };
    return { ...ended, cutOff: [...state.cutOff, run].slice(-limits.runs) };
  },
  todos: (state, at, { todos }) => withTodos(state, at, todos),
  todo: (state, at, { todo }) => withTodos(state, at, changeTodo(state.todos, todo)),
  todo_removed: (state, at, { id }) =>
    withTodos(
      state,
      at,
      state.todos.filter((todo) => todo.id !== id),
    ),
  compacted: (state, at, { summary }) => ({
    ...stated(state, summary === "" ? "compaction" : "summary", at),
    compactSummary: summary === "" ? state.compactSummary : summary,
    compactions: state.compactions + 1,
  }),
  failure: (state, at, { text }) => ({ ...state, failure: { text, at } }),
  turn_end: (state, at) => ({ ...withoutRuns(state), turnEndedAt: at }),
  interrupted: (state, at) => ({ ...state, runningTools: [], interruptedAt: at }),
  continues: (state, _at, { kind: _kind, ...continues }) => ({ ...state, continues }),
  answers: (state, at, { answers }) => ({
    ...state,
    answers: [...state.answers, ...answers.map((one) => ({ ...one, at }))].slice(-limits.answers),
  }),
  plan: (state, at, { text, path }) => ({ ...state, plan: { text, at, ...(path ? { path } : {}) } }),
  end: (state) => withoutRuns(state),
  start: (state, _at, { git, writtenGit }) => ({
    ...state,
    ...(git && !state.firstGit ? { firstGit: git } : {}),
    ...(writtenGit ? { writtenGit } : {}),
  }),
  compacting: unchanged,
  given_back: unchanged,
  subagent_end: unchanged,
  unread: unchanged,
  detached: withCutOffTools,
};

function apply(state: WorkState, at: number, entry: JournalEntry): WorkState {
  // TypeScript cannot follow the table through an index. Kinds of a newer program are ignored.
  const applier = appliers[entry.kind] as
    | ((state: WorkState, at: number, entry: JournalEntry) => WorkState)
    | undefined;
  return applier ? applier(state, at, entry) : state;
}

/** [CP8] Commands of the client are not prompts. */
function applyPrompt(state: WorkState, at: number, text: string): WorkState {
  const goal = goalOfCommand(text);
  if (goal !== null) {
    const { condition } = goal;
    return { ...state, clientGoal: condition === null ? null : { text: condition.slice(0, limits.goal), at } };
  }
  return isSlashCommand(text) ? state : withPrompt(withoutRuns(state), at, text);
}

function withWords(state: WorkState, remark: Remark): WorkState {
  const { firstWords, prompts } = state;
  const isFirst = firstWords.length < limits.firstWords && remark.at >= (prompts.at(-1)?.at ?? 0);
  const isLong = remark.text.trim().length >= leastFirstWords;
  return {
    ...state,
    words: withRemark(state.words, remark),
    firstWords:
      isFirst && isLong ? [...firstWords, { ...remark, text: bothEnds(remark.text, quoted.first) }] : firstWords,
  };
}

/** [CP111] In the order of their time: a transcript may be read after the end of its turn. */
function withRemark(words: readonly Remark[], remark: Remark): readonly Remark[] {
  const position = words.findLastIndex((one) => one.at <= remark.at) + 1;
  return words.toSpliced(position, 0, remark).slice(-limits.words);
}

function stated(state: WorkState, field: StatedField, at: number): WorkState {
  return { ...state, statedAt: { ...state.statedAt, [field]: at } };
}

function withTodos(state: WorkState, at: number, todos: readonly TodoItem[]): WorkState {
  return { ...stated(state, "todos", at), todos };
}

function changeTodo(todos: readonly TodoItem[], change: Partial<TodoItem> & { readonly id: string }): TodoItem[] {
  const known = todos.find((todo) => todo.id === change.id);
  const changed: TodoItem = { text: `task ${change.id}`, status: "pending", ...known, ...change };
  return known ? todos.map((todo) => (todo === known ? changed : todo)) : [...todos, changed].slice(-limits.todos);
}

/** Calls that begin within it may run side by side. */
const batchMs = 2_000;
const ofSubagent = / \(subagent\)$/;

/** A call that was followed by a later one of its chat has ended, though its end was not seen. */
function stillRunning({ runningTools }: WorkState, { id, name, startedAt }: ToolRun): ToolRun[] {
  const others = runningTools.filter((one) => one.id !== id);
  if (ofSubagent.test(name)) return others;
  return others.filter((one) => ofSubagent.test(one.name) || one.startedAt >= startedAt - batchMs);
}

/** State shows what these have changed unless they failed; SHIM's own calls are no work. */
const bookkeeping =
  /^(?:AskUserQuestion|ExitPlanMode|TodoWrite|Task(?:Create|Update|List|Get)|update_plan|(?:mcp__)?(?:plugin_)?shim_)/;

function withEndedCall(state: WorkState, id: string, call: EndedCall): WorkState {
  const runningTools = state.runningTools.filter((one) => one.id !== id);
  if (bookkeeping.test(call.name) && call.error === undefined) return { ...state, runningTools };
  return { ...state, runningTools, calls: [...state.calls, call].slice(-limits.calls) };
}

function withoutRuns(state: WorkState): WorkState {
  return { ...state, runningTools: [], cutOff: [] };
}

/** 144 is what Claude Code reports of a command that SIGTERM has ended. */
const interruptedOutput =
  /^\W*(?:error: )?(?:exit code (?:129|130|137|143|144)(?!\d)|(?:\[request )?interrupted|aborted|cancell?ed)/i;

/** A client that is asked to end stops its tools first, and may report them. */
const maxEndMs = 3_000;

/** [RE120] Calls that were stopped as the client ended were running then: no user stopped them. */
function withCutOffTools({ cutOff, interruptedAt, ...state }: WorkState, at: number): WorkState {
  const runs = cutOff.filter(({ cutOffAt }) => at - cutOffAt <= maxEndMs);
  const isOfRun = (call: EndedCall): boolean =>
    runs.some((run) => run.cutOffAt === call.at && run.name === call.name && run.input === call.input);
  return {
    ...state,
    cutOff: [],
    interruptedAt: runs.length > 0 ? null : interruptedAt,
    runningTools: [...state.runningTools, ...runs.map(({ cutOffAt: _at, ...run }) => run)],
    calls: state.calls.filter((call) => !isOfRun(call)),
  };
}
