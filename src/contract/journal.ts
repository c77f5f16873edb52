import * as z from "zod";
import {
  DamagedParts,
  EffectNote,
  EffectProof,
  FileNote,
  FileStamp,
  GitPosition,
  Life,
  Predecessor,
  stored,
  TodoItem,
} from "./work-state.ts";

const text = z.string();
const call = { id: text, name: text, input: text };
const durationMs = z.exactOptional(z.number());
const effects = z.exactOptional(z.array(EffectNote).readonly());
const proven = z.exactOptional(z.array(EffectProof).readonly());

function entry<Kind extends string, Fields extends z.ZodRawShape>(kind: Kind, fields: Fields) {
  return stored({ kind: z.literal(kind), ...fields });
}

/** Stored as JSON, redacted and bounded. Add kinds and optional fields only. */
export const JournalEntry = z.discriminatedUnion("kind", [
  entry("start", {
    source: text,
    /** Stored after the client had stopped waiting for an answer. */
    isUndelivered: z.exactOptional(z.literal(true)),
    git: z.exactOptional(GitPosition),
    writtenGit: z.exactOptional(GitPosition),
  }),
  entry("prompt", {
    text,
    /** Surface that it came from; absent: the chat's own terminal. */
    from: z.exactOptional(text),
    /** Row of the transcript that has it; absent: none that was read. */
    row: z.exactOptional(text),
  }),
  /** The whole text of a prompt of which less was known; `said`: its time. */
  entry("prompt_text", { said: z.number(), text }),
  /**
   * The user took back a prompt, with all that followed it until another one (epoch ms): by a
   * rewind, a rollback or an edit. `said`: its time.
   */
  entry("taken_back", { said: z.number(), until: z.number() }),
  /**
   * Text in the context of a fork from before it began: words, or a call of a tool (its
   * input). `from`: session that did and said it; absent: not known.
   */
  entry("inherited", {
    by: z.enum(["user", "assistant", "tool"]),
    text,
    tool: z.exactOptional(text),
    error: z.exactOptional(text),
    from: z.exactOptional(text),
  }),
  entry("assistant", { text }),
  entry("tool_start", {
    ...call,
    /** Commands of it that cannot be undone. */
    effects,
    /** The guard had its user asked. */
    asked: z.exactOptional(z.literal(true)),
  }),
  entry("tool_end", {
    ...call,
    durationMs,
    path: z.exactOptional(text),
    action: z.exactOptional(FileNote.shape.action),
    stamp: z.exactOptional(FileStamp),
    /** Absent: as at its start. */
    effects,
    /** Outcomes that its output proves. */
    proven,
    /** Last lines that a command printed. */
    output: z.exactOptional(text),
    exitCode: z.exactOptional(z.number()),
    /** The client reports a failed call like any other, and gave no exit code. */
    hidesFailure: z.exactOptional(z.literal(true)),
    /** Id of what runs on in the background. */
    background: z.exactOptional(text),
    /** Paths that its command was to take away. */
    removed: z.exactOptional(z.array(text).readonly()),
    /** Worktrees, sub-agents, pull requests and tasks of a tracker that it named. */
    names: z.exactOptional(z.array(text).readonly()),
  }),
  entry("tool_error", {
    ...call,
    text,
    durationMs,
    effects,
    proven,
    /** SHIM did not let it run. */
    isRefused: z.exactOptional(z.literal(true)),
  }),
  entry("todos", { todos: z.array(TodoItem).readonly() }),
  entry("todo", {
    todo: stored({ id: text, text: z.exactOptional(text), status: z.exactOptional(TodoItem.shape.status) }),
  }),
  entry("todo_removed", { id: text }),
  entry("answers", { answers: z.array(stored({ question: text, answer: text })).readonly() }),
  entry("plan", { text, path: z.exactOptional(text) }),
  entry("compacting", { trigger: text }),
  /** Empty: the client shows none. */
  entry("compacted", { summary: text }),
  /** Texts that a compaction had dropped, as the chat received them from SHIM. */
  entry("given_back", { text }),
  entry("turn_end", {}),
  /** The client asks its user, or waits for the next prompt. `call`: id of the one that waits. */
  entry("asks", { for: Life.shape.asks.unwrap().shape.for, call: z.exactOptional(text) }),
  /** The user has answered: from elsewhere, or what was asked for is seen to run. */
  entry("answered", {}),
  /** The client wrote that the user stopped the model. */
  entry("interrupted", {}),
  entry("continues", Predecessor.shape),
  entry("subagent_end", { text, id: z.exactOptional(text) }),
  /** Exit code that the client wrote of a call whose event had none. */
  entry("exited", { id: text, exitCode: z.number() }),
  /** End of a command or a sub-agent in the background. */
  entry("background_end", { id: text, exitCode: z.exactOptional(z.number()), proven }),
  /** The client's own account of the session, for a user who was away. */
  entry("recap", { text }),
  /** The client links the session with them. */
  entry("named", { names: z.array(text).readonly() }),
  entry("failure", {
    text,
    limit: z.exactOptional(stored({ resetsAtMs: z.nullable(z.number()) })),
  }),
  /** Over its budget of time: kept as it came, redacted. `of`: the event, or the entry's kind. */
  entry("unread", { of: text, text }),
  /** Parts of the transcript that could not be read or are missing. */
  entry("damaged", DamagedParts.shape),
  entry("detached", { reason: text }),
  entry("end", { reason: text }),
]);
export type JournalEntry = Readonly<z.infer<typeof JournalEntry>>;

export type JournalKind = JournalEntry["kind"];
