import type { WorkNotes } from "../../contract/checkpoint.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import type { ConversationTurn, FileNote, TodoItem, ToolRun, WorkState } from "../../contract/work-state.ts";
import type { JournalRow } from "./journal.ts";
import { given } from "../../shared/given.ts";

/** Pure: no storage, no clock. What is known of a session is its last checkpoint and what the journal tells since. */

/** Turns kept as the tail of the conversation, and files kept, newest last. */
const maxTurns = 30;
const maxFiles = 200;
/** More tools than that do not run at once: the end of some was never told. */
const maxRunning = 50;
const maxTodos = 200;

export const emptyState: WorkState = {
  goal: null,
  firstPrompt: null,
  lastPrompt: null,
  done: [],
  inProgress: [],
  nextStep: null,
  decisions: [],
  openQuestions: [],
  todos: [],
  files: [],
  conversation: [],
  runningTools: [],
  lastError: null,
  compactSummary: null,
  state: null,
};

/** [CP1] The state after more of the journal; folding in parts gives the same as folding at once. */
export function fold(base: WorkState, rows: readonly JournalRow[]): WorkState {
  return rows.reduce((state, row) => apply(state, row.at, row.entry), base);
}

/** [CP2] What the chat says of its own work replaces what was there; what it leaves out stays. */
export function withNotes(state: WorkState, notes: WorkNotes): WorkState {
  const { files, ...rest } = notes;
  const named = (files ?? []).reduce<readonly FileNote[]>((list, path) => touch(list, path, "noted"), state.files);
  return { ...state, ...given(rest), files: named };
}

type Entry<Kind extends JournalKind> = Extract<JournalEntry, { kind: Kind }>;
type Appliers = { readonly [Kind in JournalKind]: (state: WorkState, at: number, entry: Entry<Kind>) => WorkState };

const unchanged = (state: WorkState): WorkState => state;
const nothingRuns = (state: WorkState): WorkState => ({ ...state, runningTools: [] });

const appliers: Appliers = {
  prompt: (state, at, { text }) => prompted(state, at, text),
  assistant: (state, at, { text }) => said(state, { role: "assistant", text, at }),
  tool_start: (state, at, tool) => {
    const run = { id: tool.id, name: tool.name, input: tool.input, startedAt: at };
    return { ...state, runningTools: [...without(state, tool.id), run].slice(-maxRunning) };
  },
  tool_end: (state, _at, tool) => {
    const files = tool.path ? touch(state.files, tool.path, tool.action ?? "noted") : state.files;
    return { ...state, runningTools: without(state, tool.id), files };
  },
  tool_error: (state, at, tool) => {
    const lastError = { at, text: `${tool.name} ${tool.input}: ${tool.text}` };
    return { ...state, runningTools: without(state, tool.id), lastError };
  },
  todos: (state, _at, { todos }) => ({ ...state, todos }),
  todo: (state, _at, { todo }) => ({ ...state, todos: changeTodo(state.todos, todo) }),
  todo_removed: (state, _at, { id }) => ({ ...state, todos: state.todos.filter((todo) => todo.id !== id) }),
  compacted: (state, _at, { summary }) => ({ ...state, compactSummary: summary }),
  failure: (state, at, { text }) => ({ ...state, lastError: { at, text } }),
  turn_end: nothingRuns,
  continues: (state, _at, { session, goal, nextStep }) => ({ ...state, continues: { session, goal, nextStep } }),
  end: nothingRuns,
  start: unchanged,
  compacting: unchanged,
  subagent_end: unchanged,
  detached: unchanged,
};

function apply(state: WorkState, at: number, entry: JournalEntry): WorkState {
  // The table gives each kind the function for its own entries; TypeScript cannot follow that through an index. A kind that a newer
  // program has written says nothing to this one.
  const applier = appliers[entry.kind] as
    | ((state: WorkState, at: number, entry: JournalEntry) => WorkState)
    | undefined;
  return applier ? applier(state, at, entry) : state;
}

function without(state: WorkState, toolId: string): ToolRun[] {
  return state.runningTools.filter((tool) => tool.id !== toolId);
}

/** [CP8] A slash command is no request: it stands in the conversation, never as what the user wants. */
function prompted(state: WorkState, at: number, text: string): WorkState {
  const turn = said({ ...state, runningTools: [] }, { role: "user", text, at });
  if (isSlashCommand(text)) return turn;
  return { ...turn, firstPrompt: state.firstPrompt ?? text, lastPrompt: text };
}

export function isSlashCommand(prompt: string): boolean {
  return /^\/[\w:-]+(\s|$)/.test(prompt);
}

function said(state: WorkState, turn: ConversationTurn): WorkState {
  return { ...state, conversation: [...state.conversation, turn].slice(-maxTurns) };
}

/** Until the next checkpoint hashes it, nobody can tell the chat's own edit from another's. */
const editedSince = "edited after the last checkpoint";

/** [CP10] Newest last. A file that was edited stays edited when it is read again. Hashes are taken anew at each checkpoint. */
function touch(files: readonly FileNote[], path: string, action: FileNote["action"]): readonly FileNote[] {
  const known = files.find((file) => file.path === path);
  const isWeaker = action === "read" || action === "noted";
  const note: FileNote =
    known && isWeaker ? known : { path, hash: null, action, ...(isWeaker ? {} : { skipped: editedSince }) };
  return [...files.filter((file) => file !== known), note].slice(-maxFiles);
}

function changeTodo(todos: readonly TodoItem[], change: Partial<TodoItem> & { readonly id: string }): TodoItem[] {
  const known = todos.find((todo) => todo.id === change.id);
  const changed: TodoItem = { text: `task ${change.id}`, status: "pending", ...known, ...change };
  return known ? todos.map((todo) => (todo === known ? changed : todo)) : [...todos, changed].slice(-maxTodos);
}
