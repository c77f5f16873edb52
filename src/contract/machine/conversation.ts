import * as z from "zod";
import { declare } from "../operation.ts";
import { IdPrefix, idErrors, count } from "./operation.ts";

/** A session as a conversation, for a person who reads it. */

const row = {
  /** The same each time that the session is read, as long as what it names is a part of it. */
  id: z.string(),
  /** A client that writes no times has none. */
  ageMs: z.number().nullable(),
};

const said = {
  ...row,
  /** Markdown, whole up to 100,000 characters. */
  text: z.string(),
  pictures: count,
};

/** done: its result is there. unknown: none was recorded, and the turn is over. */
const callOutcomes = ["running", "done", "failed", "unknown"] as const;

export const ConversationRow = z.discriminatedUnion("kind", [
  z.object({
    ...said,
    kind: z.literal("prompt"),
    /** Surface that it came from; null: the terminal of the chat. */
    from: z.string().nullable(),
    /** The model has not had it yet. */
    isWaiting: z.boolean(),
    /** Its number among the prompts that SHIM has stored, from 1; null: it has not stored it. */
    number: count.nullable(),
  }),
  z.object({ ...said, kind: z.literal("answer") }),
  /** The client's account of all that precedes it. */
  z.object({ ...said, kind: z.literal("summary") }),
  z.object({
    ...row,
    kind: z.literal("call"),
    tool: z.string(),
    /** Command, file, or the first of its input, on one line. */
    subject: z.string(),
    outcome: z.enum(callOutcomes),
    /** One line of its result; "" where the outcome says all. */
    result: z.string(),
    /** Lines that an edit added and removed; null: it edits none, or more than are compared. */
    lines: z.object({ added: count, removed: count }).nullable(),
    pictures: count,
    /** A sub-agent does it, whose own rows may be there. */
    isAgent: z.boolean(),
  }),
  /** A failure, an interruption, a death, a continuation and others. */
  z.object({ ...row, kind: z.literal("note"), text: z.string(), isBad: z.boolean() }),
]);
export type ConversationRow = z.infer<typeof ConversationRow>;
export type CallRow = Extract<ConversationRow, { readonly kind: "call" }>;

const ConversationPage = z.object({
  /** Oldest first; at most 100. */
  rows: z.array(ConversationRow),
  hasEarlier: z.boolean(),
  hasLater: z.boolean(),
  /** The row that the question names is no part of the session any more: these are the newest. */
  isReset: z.boolean(),
  /** Its transcript cannot be read: calls and results are the beginnings that SHIM has stored. */
  isPartial: z.boolean(),
});

const OpenedCall = z.object({
  /** Its input by field, without the texts of edits. */
  input: z.string(),
  /** At most 100. */
  edits: z.array(
    z.object({
      path: z.string(),
      added: count,
      removed: count,
      /** Lines, each after its sign: `+`, `-` or a space. */
      diff: z.string(),
      /** Number of further lines. */
      left: count,
    }),
  ),
  /** Number of further edits. */
  moreEdits: count,
  output: z.string(),
});
export type OpenedCall = z.infer<typeof OpenedCall>;

const Hit = z.object({
  ...row,
  kind: z.enum(["prompt", "answer", "summary", "call", "note"]),
  /** Around the first of the words. */
  excerpt: z.string(),
});

const inSession = {
  session: IdPrefix,
  /** Row of a call: the rows are those of its sub-agent. */
  agent: z.string().max(300).optional(),
};
const rowId = z.string().min(1).max(300);

export const conversationOperations = {
  "conversation.read": declare("caller", "read", {
    summary:
      "A part of what was said and done in a session, oldest first: its end, or what is before or from a row on.",
    input: z.strictObject({
      ...inSession,
      before: rowId.optional().describe("the rows before it"),
      from: rowId.optional().describe("the row itself, and those after it"),
      /** Characters of its texts. The first row is always there. */
      chars: z.int().min(1_000).max(150_000).default(60_000),
    }),
    output: ConversationPage,
    errors: ["bad_input", ...idErrors],
    surfaces: ["page"],
  }),
  "conversation.call": declare("caller", "read", {
    summary: "What a call of a session was given, and what came of it.",
    input: z.strictObject({ ...inSession, row: rowId }),
    output: OpenedCall,
    errors: idErrors,
    surfaces: ["page"],
    example: { row: "call:toolu_1" },
  }),
  "conversation.picture": declare("caller", "read", {
    summary: "A picture in a session, as its client has stored it: a secret in it is not removed.",
    input: z.strictObject({ ...inSession, row: rowId, number: count }),
    /** `data`: base64. */
    output: z.object({ type: z.string(), data: z.string() }),
    errors: ["too_large", ...idErrors],
    surfaces: ["page"],
    example: { row: "prompt:1790000000000", number: 0 },
  }),
  "conversation.search": declare("caller", "read", {
    summary: "Rows of a session that have all of some words, newest first; at most 100 of those found.",
    input: z.strictObject({ session: IdPrefix, words: z.string().min(1).max(200) }),
    output: z.object({ found: count, hits: z.array(Hit) }),
    errors: idErrors,
    surfaces: ["page"],
    example: { words: "storm rules" },
  }),
};
