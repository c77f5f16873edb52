import type { FileNote, FileStamp, GitPosition, Predecessor, TodoItem } from "./work-state.ts";

/** Stored as JSON, redacted and bounded. Add kinds and optional fields only. */
export type JournalEntry =
  /** `isUndelivered`: stored after the client had stopped waiting for an answer. */
  | {
      readonly kind: "start";
      readonly source: string;
      readonly isUndelivered?: true;
      readonly git?: GitPosition;
      readonly writtenGit?: GitPosition;
    }
  | { readonly kind: "prompt"; readonly text: string }
  | { readonly kind: "assistant"; readonly text: string }
  | {
      readonly kind: "tool_start";
      readonly id: string;
      readonly name: string;
      readonly input: string;
    }
  | {
      readonly kind: "tool_end";
      readonly id: string;
      readonly name: string;
      readonly input: string;
      readonly durationMs?: number;
      readonly path?: string;
      readonly action?: FileNote["action"];
      readonly stamp?: FileStamp;
      /** Its command runs on, and no end of that is known. */
      readonly runsOn?: true;
    }
  | {
      readonly kind: "tool_error";
      readonly id: string;
      readonly name: string;
      readonly input: string;
      readonly text: string;
      readonly durationMs?: number;
    }
  | { readonly kind: "todos"; readonly todos: readonly TodoItem[] }
  | { readonly kind: "todo"; readonly todo: Partial<TodoItem> & { readonly id: string } }
  | { readonly kind: "todo_removed"; readonly id: string }
  | { readonly kind: "answers"; readonly answers: readonly { readonly question: string; readonly answer: string }[] }
  | { readonly kind: "plan"; readonly text: string; readonly path?: string }
  | { readonly kind: "compacting"; readonly trigger: string }
  /** Empty: the client shows none. */
  | { readonly kind: "compacted"; readonly summary: string }
  /** Texts that a compaction had dropped, as the chat received them from SHIM. */
  | { readonly kind: "given_back"; readonly text: string }
  | { readonly kind: "turn_end" }
  /** The client wrote that the user stopped the model. */
  | { readonly kind: "interrupted" }
  | ({ readonly kind: "continues" } & Predecessor)
  | { readonly kind: "subagent_end"; readonly text: string }
  | { readonly kind: "failure"; readonly text: string }
  /** Over its budget of time: kept as it came, redacted. `of`: the event, or the entry's kind. */
  | { readonly kind: "unread"; readonly of: string; readonly text: string }
  | { readonly kind: "detached"; readonly reason: string }
  | { readonly kind: "end"; readonly reason: string };

export type JournalKind = JournalEntry["kind"];
