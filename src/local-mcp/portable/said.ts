import type { JournalEntry } from "../../contract/journal.ts";

export interface Said {
  readonly by: "user" | "assistant" | "compaction" | "failure";
  readonly text: string;
}

/** Returns null for an entry without a text of the conversation. */
export function saidBy(entry: JournalEntry): Said | null {
  switch (entry.kind) {
    case "prompt":
      return { by: "user", text: entry.text };
    case "assistant":
      return { by: "assistant", text: entry.text };
    case "compacted":
      return { by: "compaction", text: entry.summary };
    case "failure":
      return { by: "failure", text: entry.text };
    default:
      return null;
  }
}
