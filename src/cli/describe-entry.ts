import type { JournalEntry } from "../contract/journal.ts";
import { oneLine } from "./screen-text.ts";

type Tool = Extract<JournalEntry, { kind: "tool_start" | "tool_end" | "tool_error" }>;
type Todo = Extract<JournalEntry, { kind: "todos" | "todo" | "todo_removed" }>;
type Said = Extract<JournalEntry, { kind: "prompt" | "assistant" | "subagent_end" | "failure" }>;
type Turn = Exclude<JournalEntry, Tool | Todo | Said>;

/** One line of what happened; texts are cut to `max` characters. */
export function describeEntry(entry: JournalEntry, max: number): string {
  if (isTool(entry)) return describeTool(entry, max);
  if (isTodo(entry)) return describeTodo(entry, max);
  return isSaid(entry) ? `${speakers[entry.kind]}: ${oneLine(entry.text, max)}` : describeTurn(entry, max);
}

const speakers: Record<Said["kind"], string> = {
  prompt: "user",
  assistant: "assistant",
  subagent_end: "subagent ended",
  failure: "failed",
};

function isTool(entry: JournalEntry): entry is Tool {
  return entry.kind.startsWith("tool_");
}

function isTodo(entry: JournalEntry): entry is Todo {
  return entry.kind.startsWith("todo");
}

function isSaid(entry: JournalEntry): entry is Said {
  return Object.hasOwn(speakers, entry.kind);
}

function describeTool(entry: Tool, max: number): string {
  const call = `${entry.name} ${oneLine(entry.input, max)}`;
  if (entry.kind === "tool_start") return `tool began: ${call}`;
  const took = entry.durationMs === undefined ? "" : ` (${Math.round(entry.durationMs)} ms)`;
  if (entry.kind === "tool_error") return `tool failed: ${call}${took}: ${oneLine(entry.text, max)}`;
  const file = entry.path === undefined ? "" : ` [${entry.action ?? "noted"} ${entry.path}]`;
  return `tool ended: ${call}${took}${file}`;
}

function describeTodo(entry: Todo, max: number): string {
  if (entry.kind === "todo_removed") return `task ${entry.id} removed`;
  if (entry.kind === "todos")
    return `tasks: ${entry.todos.map((todo) => `${oneLine(todo.text, max)} (${todo.status})`).join("; ")}`;
  const { id, text, status } = entry.todo;
  return `task ${id}: ${[text && oneLine(text, max), status].filter(Boolean).join(", ")}`;
}

function describeTurn(entry: Turn, max: number): string {
  switch (entry.kind) {
    case "start":
      return `started (${entry.source})`;
    case "compacting":
      return `compaction begins (${entry.trigger})`;
    case "compacted":
      return `compacted: ${oneLine(entry.summary, max)}`;
    case "turn_end":
      return "answer complete";
    case "continues":
      return `goes on with session ${entry.session} of another machine`;
    case "detached":
      return `cut off (${entry.reason})`;
    case "end":
      return `ended (${entry.reason})`;
    default:
      return newer(entry);
  }
}

/** Of a newer program, whose kinds this one does not know. */
function newer(entry: never): string {
  return (entry as { readonly kind: string }).kind;
}
