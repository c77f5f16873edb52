import type { WorkNotes } from "../../contract/checkpoint.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { ConversationTurn, FileNote, TodoItem, WorkState } from "../../contract/work-state.ts";
import type { JournalRow } from "./journal.ts";

/** Pure: no storage, no clock. What is known of a session is its last checkpoint and what the journal tells since. */

/** Turns kept as the tail of the conversation, and files kept, newest last. */
const maxTurns = 30;
const maxFiles = 200;

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
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const named = (files ?? []).reduce<readonly FileNote[]>((list, path) => touch(list, path, "noted"), state.files);
  return { ...state, ...given, files: named };
}

function apply(state: WorkState, at: number, entry: JournalEntry): WorkState {
  switch (entry.kind) {
    case "prompt":
      return prompted(state, at, entry.text);
    case "assistant":
      return said(state, { role: "assistant", text: entry.text, at });
    case "tool_start":
    case "tool_end":
    case "tool_error":
      return applyTool(state, at, entry);
    case "todos":
      return { ...state, todos: entry.todos };
    case "todo":
      return { ...state, todos: changeTodo(state.todos, entry.todo) };
    case "todo_removed":
      return { ...state, todos: state.todos.filter((todo) => todo.id !== entry.id) };
    case "compacted":
      return { ...state, compactSummary: entry.summary };
    case "failure":
      return { ...state, lastError: { at, text: entry.text } };
    case "turn_end":
    case "end":
      return { ...state, runningTools: [] };
    case "start":
    case "compacting":
    case "subagent_end":
    case "detached":
      return state;
  }
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

type ToolEntry = Extract<JournalEntry, { kind: "tool_start" | "tool_end" | "tool_error" }>;

function applyTool(state: WorkState, at: number, entry: ToolEntry): WorkState {
  const running = state.runningTools.filter((tool) => tool.id !== entry.id);
  switch (entry.kind) {
    case "tool_start":
      running.push({ id: entry.id, name: entry.name, input: entry.input, startedAt: at });
      return { ...state, runningTools: running };
    case "tool_end": {
      const files = entry.path ? touch(state.files, entry.path, entry.action ?? "noted") : state.files;
      return { ...state, runningTools: running, files };
    }
    case "tool_error":
      return { ...state, runningTools: running, lastError: { at, text: `${entry.name} ${entry.input}: ${entry.text}` } };
  }
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
  const note: FileNote = known && isWeaker ? known : { path, hash: null, action, ...(isWeaker ? {} : { skipped: editedSince }) };
  return [...files.filter((file) => file !== known), note].slice(-maxFiles);
}

function changeTodo(todos: readonly TodoItem[], change: Partial<TodoItem> & { readonly id: string }): TodoItem[] {
  const known = todos.find((todo) => todo.id === change.id);
  const changed: TodoItem = { text: `task ${change.id}`, status: "pending", ...known, ...change };
  return known ? todos.map((todo) => (todo === known ? changed : todo)) : [...todos, changed];
}
