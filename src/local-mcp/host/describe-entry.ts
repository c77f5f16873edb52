import { oneLine } from "../../shared/format.ts";
import type { JournalEntry } from "../../contract/journal.ts";

type Kind = JournalEntry["kind"];
type EntryOf<K extends Kind> = Extract<JournalEntry, { readonly kind: K }>;

export function describeEntry(entry: JournalEntry, max: number): string {
  // A newer program may have more kinds.
  if (!Object.hasOwn(descriptions, entry.kind)) return entry.kind;
  return (descriptions[entry.kind] as (entry: JournalEntry, max: number) => string)(entry, max);
}

const descriptions: { readonly [K in Kind]: (entry: EntryOf<K>, max: number) => string } = {
  start: ({ source }) => `started (${source})`,
  continues: ({ session }) => `continues session ${session} of another machine`,
  detached: ({ reason }) => `cut off (${reason})`,
  end: ({ reason }) => `ended (${reason})`,
  prompt: ({ text }, max) => `user: ${oneLine(text, max)}`,
  assistant: ({ text }, max) => `assistant: ${oneLine(text, max)}`,
  subagent_end: ({ text }, max) => `subagent ended: ${oneLine(text, max)}`,
  failure: ({ text }, max) => `failed: ${oneLine(text, max)}`,
  unread: ({ of, text }, max) => `not interpreted, since it took too long (${of}): ${oneLine(text, max)}`,
  turn_end: () => "answer complete",
  interrupted: () => "interrupted by the user",
  plan: ({ text }, max) => `user approved a plan: ${oneLine(text, max)}`,
  answers: ({ answers }, max) => {
    const chosen = answers.map(({ question, answer }) => `${oneLine(question, max)} -> ${oneLine(answer, max)}`);
    return `user chose: ${chosen.join("; ")}`;
  },
  compacting: ({ trigger }) => `compaction begins (${trigger})`,
  compacted: ({ summary }, max) => (summary === "" ? "compacted" : `compacted: ${oneLine(summary, max)}`),
  given_back: ({ text }, max) => `SHIM gave back what the compaction had dropped: ${oneLine(text, max)}`,
  todos: ({ todos }, max) =>
    `tasks: ${todos.map(({ text, status }) => `${oneLine(text, max)} (${status})`).join("; ")}`,
  todo: ({ todo: { id, text, status } }, max) =>
    `task ${id}: ${[text && oneLine(text, max), status].filter(Boolean).join(", ")}`,
  todo_removed: ({ id }) => `task ${id} removed`,
  tool_start: (entry, max) => `tool began: ${formatCall(entry, max)}`,
  tool_end: (entry, max) => {
    const file = entry.path === undefined ? "" : ` [${entry.action ?? "noted"} ${entry.path}]`;
    return `tool ended: ${formatCall(entry, max)}${formatDuration(entry)}${file}`;
  },
  tool_error: (entry, max) =>
    `tool failed: ${formatCall(entry, max)}${formatDuration(entry)}: ${oneLine(entry.text, max)}`,
};

function formatCall({ name, input }: EntryOf<"tool_start" | "tool_end" | "tool_error">, max: number): string {
  return `${name} ${oneLine(input, max)}`;
}

function formatDuration({ durationMs }: EntryOf<"tool_end" | "tool_error">): string {
  return durationMs === undefined ? "" : ` (${Math.round(durationMs)} ms)`;
}
