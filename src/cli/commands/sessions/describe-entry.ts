import type { JournalEntry } from "../../../contract/journal.ts";
import { oneLine } from "../../screen-text.ts";

type ToolEntry = Extract<JournalEntry, { kind: "tool_start" | "tool_end" | "tool_error" }>;
type TodoEntry = Extract<JournalEntry, { kind: "todos" | "todo" | "todo_removed" }>;
type SpokenEntry = Extract<JournalEntry, { kind: "prompt" | "assistant" | "subagent_end" | "failure" }>;
type BoundaryEntry = Extract<JournalEntry, { kind: "start" | "continues" | "detached" | "end" }>;
type TurnEntry = Exclude<JournalEntry, ToolEntry | TodoEntry | SpokenEntry | BoundaryEntry>;

export function describeEntry(entry: JournalEntry, max: number): string {
  if (isTool(entry)) return describeTool(entry, max);
  if (isTodo(entry)) return describeTodo(entry, max);
  if (isBoundary(entry)) return describeBoundary(entry);
  return isSpoken(entry) ? `${speakers[entry.kind]}: ${oneLine(entry.text, max)}` : describeTurn(entry, max);
}

const speakers: Record<SpokenEntry["kind"], string> = {
  prompt: "user",
  assistant: "assistant",
  subagent_end: "subagent ended",
  failure: "failed",
};

function isTool(entry: JournalEntry): entry is ToolEntry {
  return entry.kind.startsWith("tool_");
}

function isTodo(entry: JournalEntry): entry is TodoEntry {
  return entry.kind.startsWith("todo");
}

function isSpoken(entry: JournalEntry): entry is SpokenEntry {
  return Object.hasOwn(speakers, entry.kind);
}

function describeTool(entry: ToolEntry, max: number): string {
  const call = `${entry.name} ${oneLine(entry.input, max)}`;
  if (entry.kind === "tool_start") return `tool began: ${call}`;
  const took = entry.durationMs === undefined ? "" : ` (${Math.round(entry.durationMs)} ms)`;
  if (entry.kind === "tool_error") return `tool failed: ${call}${took}: ${oneLine(entry.text, max)}`;
  const file = entry.path === undefined ? "" : ` [${entry.action ?? "noted"} ${entry.path}]`;
  return `tool ended: ${call}${took}${file}`;
}

function describeTodo(entry: TodoEntry, max: number): string {
  if (entry.kind === "todo_removed") return `task ${entry.id} removed`;
  if (entry.kind === "todos")
    return `tasks: ${entry.todos.map((todo) => `${oneLine(todo.text, max)} (${todo.status})`).join("; ")}`;
  const { id, text, status } = entry.todo;
  return `task ${id}: ${[text && oneLine(text, max), status].filter(Boolean).join(", ")}`;
}

function describeChoice(entry: Extract<TurnEntry, { kind: "answers" | "plan" }>, max: number): string {
  if (entry.kind === "plan") return `user approved a plan: ${oneLine(entry.text, max)}`;
  const chosen = entry.answers.map(({ question, answer }) => `${oneLine(question, max)} -> ${oneLine(answer, max)}`);
  return `user chose: ${chosen.join("; ")}`;
}

function describeCompaction(entry: Extract<TurnEntry, { kind: "compacting" | "compacted" }>, max: number): string {
  return entry.kind === "compacting"
    ? `compaction begins (${entry.trigger})`
    : `compacted: ${oneLine(entry.summary, max)}`;
}

function isBoundary(entry: JournalEntry): entry is BoundaryEntry {
  return ["start", "continues", "detached", "end"].includes(entry.kind);
}

function describeBoundary(entry: BoundaryEntry): string {
  switch (entry.kind) {
    case "start":
      return `started (${entry.source})`;
    case "continues":
      return `goes on with session ${entry.session} of another machine`;
    case "detached":
      return `cut off (${entry.reason})`;
    case "end":
      return `ended (${entry.reason})`;
  }
}

function describeTurn(entry: TurnEntry, max: number): string {
  switch (entry.kind) {
    case "answers":
    case "plan":
      return describeChoice(entry, max);
    case "compacting":
    case "compacted":
      return describeCompaction(entry, max);
    case "turn_end":
      return "answer complete";
    default:
      return describeUnknown(entry);
  }
}

function describeUnknown(entry: never): string {
  return (entry as { readonly kind: string }).kind;
}
