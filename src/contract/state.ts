import * as z from "zod";
import { declare } from "./operation.ts";
import { Json, counter, durationMs, Id, limit, whole } from "./values.ts";

/** Keys with `$` belong to the coordinator; they can be watched, not written. */
const Key = whole(z.string().regex(/^[^\p{Cc}]{1,512}$/u, "1 to 512 characters without control characters")).refine(
  (key) => !key.startsWith("$"),
  "keys that begin with $ are reserved for the coordinator",
);
const Prefix = z.string().max(512);

export const maxValueChars = 131_072;
export const sessionTtlMs = 3_600_000;
const Ttl = z.int().min(1_000).max(31_536_000_000).meta({ form: "duration", description: "time until it expires" });

/** Requires this lease with this token for the write. */
export const Guard = z.strictObject({ resource: z.string().max(520), token: counter });
export type Guard = z.infer<typeof Guard>;

const ifVersion = counter.optional().describe("only at this version; 0: only if the key does not exist");

export const Entry = z.object({
  key: z.string(),
  value: Json,
  /** Revision of the last change; grows forever, across deletions too. */
  version: counter,
  ageMs: durationMs,
  ttlMs: durationMs.nullable(),
});
export type Entry = z.infer<typeof Entry>;

const Written = z.object({ version: counter });

export const Write = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("set"), key: Key, value: Json, ifVersion, ttlMs: Ttl.optional() }),
  z.strictObject({ op: z.literal("delete"), key: Key, ifVersion }),
  z.strictObject({ op: z.literal("check"), key: Key, ifVersion: counter }),
]);
export type Write = z.infer<typeof Write>;

export const Change = z.object({
  revision: counter,
  /** Changes of one update share a group and are sent together. */
  group: counter,
  key: z.string(),
  op: z.enum(["set", "delete", "expire"]),
  value: Json.nullable(),
  by: Id.nullable(),
});
export type Change = z.infer<typeof Change>;

export const stateOperations = {
  "state.get": declare("observe", "GET /state", {
    input: z.strictObject({ key: z.string().max(512) }),
    output: z.object({ entry: Entry.nullable() }),
    summary: "Returns one key.",
    surfaces: ["remote"],
  }),
  "state.set": declare("submit", "PUT /state", {
    input: z.strictObject({
      key: Key,
      value: Json,
      ifVersion,
      guard: Guard.optional(),
      ttlMs: Ttl.optional(),
      by: Id.optional(),
      requestId: Id.optional(),
    }),
    output: Written,
    errors: ["version_mismatch", "stale_token", "quota_exceeded", "key_reused"],
    summary: "Sets a key; with `ifVersion`, only if the key still has that version.",
    isDestructive: true,
    isPostponable: true,
    surfaces: ["remote"],
    example: { key: "k", value: 1 },
  }),
  "state.delete": declare("submit", "DELETE /state", {
    input: z.strictObject({
      key: Key,
      ifVersion,
      guard: Guard.optional(),
      by: Id.optional(),
      requestId: Id.optional(),
    }),
    output: z.object({ isDeleted: z.boolean(), version: counter }),
    errors: ["version_mismatch", "stale_token", "key_reused"],
    summary: "Deletes a key.",
    effect: "free",
    isDestructive: true,
    surfaces: ["remote"],
  }),
  "state.list": declare("observe", "GET /state/list", {
    input: z.strictObject({
      prefix: Prefix.default(""),
      limit: limit(500, 100),
      cursor: z.string().max(600).optional(),
    }),
    output: z.object({ entries: z.array(Entry), cursor: z.string().nullable(), revision: counter }),
    summary: "Lists keys by prefix, page by page; a watch that starts from its `revision` misses nothing.",
    surfaces: ["remote"],
  }),
  /** Applies all writes or none, under all conditions at once. */
  "state.update": declare("submit", "POST /state/update", {
    input: z.strictObject({
      writes: z.array(Write).min(1).max(100),
      guards: z.array(Guard).max(10).default([]),
      by: Id.optional(),
      requestId: Id.optional(),
    }),
    output: z.object({ versions: z.array(z.object({ key: z.string(), version: counter })) }),
    errors: ["version_mismatch", "stale_token", "quota_exceeded", "key_reused"],
    summary: "Changes several keys at once under conditions, all or nothing.",
    effectOf: ({ writes }) => (writes.some(({ op }) => op === "set") ? "grow" : "free"),
    isDestructive: true,
    isPostponable: true,
    surfaces: ["remote"],
    example: { writes: [{ op: "set", key: "k", value: 1 }] },
  }),
  /** Changes below a prefix, oldest first. Below the compaction floor: `compacted`; list again. */
  "state.changes": declare("observe", "GET /state/changes", {
    input: z.strictObject({ prefix: Prefix.default(""), after: counter, limit: limit(500, 200) }),
    output: z.object({
      changes: z.array(Change),
      revision: counter,
      isMore: z.boolean(),
    }),
    errors: ["compacted"],
    summary: "Lists the changes below a prefix after a revision.",
  }),
  /**
   * Socket only: `state.changed` {watch} says that keys below the prefix have changed, for `$task/`
   * and `$message/` that tasks or messages have. `state.changes` reads what.
   */
  "state.watch": declare("observe", "POST /state/watch", {
    input: z.strictObject({ watch: Id, prefix: Prefix.default("") }),
    output: z.object({ watch: Id, revision: counter }),
    errors: ["quota_exceeded"],
    summary: "Tells this socket of changes below a prefix.",
    isSocketOnly: true,
    effect: "read",
  }),
  "state.unwatch": declare("observe", "POST /state/unwatch", {
    input: z.strictObject({ watch: Id }),
    output: z.object({ isRemoved: z.boolean() }),
    summary: "Ends a watch.",
    isSocketOnly: true,
    effect: "read",
  }),
} as const;
