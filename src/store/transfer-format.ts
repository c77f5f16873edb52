import * as z from "zod";
import { StoredEntry, StoredState } from "./stored-shapes.ts";

/** Stored in users' files: a change raises `version`. Limits are only against hostile files. */
export const exportFormat = "shim-export";
export const exportVersion = 1;
export const maxLineChars = 16 * 1024 * 1024;

const id = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w.:@][\w.:@-]*$/, "an id has letters, digits and .:@_- only, and no - at its beginning");
const at = z.int().min(0);
const count = z.int().min(0);
const text = z.string().max(1_000_000);
const nullableText = z.nullable(text);
const json = z.record(z.string(), z.unknown());

export const Header = z.strictObject({
  type: z.literal("header"),
  format: z.literal(exportFormat),
  version: z.literal(exportVersion),
  exportedAt: at,
});

const session = z.strictObject({
  type: z.literal("session"),
  id,
  client: text,
  client_version: nullableText.default(null),
  project: nullableText,
  cwd: nullableText,
  title: nullableText,
  name: nullableText.default(null),
  model: nullableText,
  transcript_path: nullableText,
  transcript_offset: count,
  origin: text,
  parent_id: z.nullable(id),
  started_at: at,
  last_seen_at: at,
  saved_at: z.nullable(at),
  ended_at: z.nullable(at),
  end_reason: nullableText,
  detached_at: z.nullable(at),
  detach_reason: nullableText,
  recovery: nullableText,
  recovery_at: z.nullable(at),
  recovery_by: nullableText,
  tool_calls: count,
  tool_errors: count,
  readings: json,
});

const journal = z.strictObject({
  type: z.literal("journal"),
  session_id: id,
  seq: count,
  at,
  key: text,
  body: StoredEntry,
});

const checkpoint = z.strictObject({
  type: z.literal("checkpoint"),
  session_id: id,
  id,
  at,
  trigger: text,
  hash: z.string().regex(/^[0-9a-f]{64}$/, "a SHA-256 in hex"),
  journal_seq: count,
  redactions: count,
  summary: text,
  state: StoredState,
});

const signal = z.strictObject({
  type: z.literal("signal"),
  session_id: id,
  at,
  risk: z.number().min(0).max(1),
  level: text,
  readings: json,
});

const crash = z.strictObject({
  type: z.literal("crash"),
  session_id: id,
  at,
  cause: text,
  detail: text,
  readings: json,
});

const recovery = z.strictObject({
  type: z.literal("recovery"),
  session_id: id,
  at,
  action: text,
  by_session: nullableText,
  score: z.nullable(z.number()),
  detail: json,
});

export const Entry = z.discriminatedUnion("type", [session, journal, checkpoint, signal, crash, recovery]);
export type Entry = z.infer<typeof Entry>;
export type SessionEntry = z.infer<typeof session>;
export type JournalEntry = z.infer<typeof journal>;
export type CheckpointEntry = z.infer<typeof checkpoint>;
export type RecoveryEntry = z.infer<typeof recovery>;
