import type { JournalEntry } from "../../contract/journal.ts";

export interface Said {
  readonly by: "user" | "assistant" | "compaction" | "failure";
  readonly text: string;
}

const speakers: Partial<Record<JournalEntry["kind"], Said["by"]>> = {
  prompt: "user",
  assistant: "assistant",
  compacted: "compaction",
  failure: "failure",
};

/** Returns null for an entry without a text of the conversation. */
export function saidBy(entry: JournalEntry): Said | null {
  const by = speakers[entry.kind];
  const text = "text" in entry ? entry.text : entry.kind === "compacted" ? entry.summary || null : null;
  return by === undefined || text === null ? null : { by, text };
}
