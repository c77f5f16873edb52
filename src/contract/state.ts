import * as z from "zod";
import { counter, durationMs, Id, Json, limit, whole } from "./values.ts";

/** Keys with `$` belong to the coordinator; they can be watched, not written. */
const Key = whole(z.string().regex(/^[^\p{Cc}]{1,512}$/u, "1 to 512 characters without control characters")).refine(
  (key) => !key.startsWith("$"),
  "keys that begin with $ are the coordinator's own",
);
const Prefix = z.string().max(512);

export const maxValueChars = 131_072;
export const sessionTtlMs = 3_600_000;
const Ttl = z.int().min(1_000).max(31_536_000_000);

/** Requires this lease with this token for the write. */
export const Guard = z.strictObject({ resource: z.string().max(520), token: counter });
export type Guard = z.infer<typeof Guard>;

/** Required version of the key; 0: absent. */
const ifVersion = counter.optional();

export const Entry = z.object({
  key: z.string(),
  value: Json,
  /** Revision of the last change; grows forever, across deletions too. */
  version: counter,
  ageMs: durationMs,
  ttlMs: durationMs.nullable(),
});
export type Entry = z.infer<typeof Entry>;

export const GetState = {
  input: z.strictObject({ key: z.string().max(512) }),
  output: z.object({ entry: Entry.nullable() }),
};
export type GetState = z.infer<typeof GetState.input>;

const Written = z.object({ version: counter });

export const SetState = {
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
};
export type SetState = z.infer<typeof SetState.input>;

export const DeleteState = {
  input: z.strictObject({
    key: Key,
    ifVersion,
    guard: Guard.optional(),
    by: Id.optional(),
    requestId: Id.optional(),
  }),
  output: z.object({ isDeleted: z.boolean(), version: counter }),
};
export type DeleteState = z.infer<typeof DeleteState.input>;

export const ListState = {
  input: z.strictObject({ prefix: Prefix.default(""), limit: limit(500, 100), cursor: z.string().max(600).optional() }),
  output: z.object({ entries: z.array(Entry), cursor: z.string().nullable(), revision: counter }),
};
export type ListState = z.infer<typeof ListState.input>;

export const Write = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("set"), key: Key, value: Json, ifVersion, ttlMs: Ttl.optional() }),
  z.strictObject({ op: z.literal("delete"), key: Key, ifVersion }),
  z.strictObject({ op: z.literal("check"), key: Key, ifVersion: counter }),
]);
export type Write = z.infer<typeof Write>;

/** Applies all writes or none, under all conditions at once. */
export const UpdateState = {
  input: z.strictObject({
    writes: z.array(Write).min(1).max(100),
    guards: z.array(Guard).max(10).default([]),
    by: Id.optional(),
    requestId: Id.optional(),
  }),
  output: z.object({ versions: z.array(z.object({ key: z.string(), version: counter })) }),
};
export type UpdateState = z.infer<typeof UpdateState.input>;

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

/** Changes below a prefix, oldest first. Below the compaction floor: `compacted`; list anew. */
export const PullChanges = {
  input: z.strictObject({ prefix: Prefix.default(""), after: counter, limit: limit(500, 200) }),
  output: z.object({
    changes: z.array(Change),
    revision: counter,
    isMore: z.boolean(),
  }),
};
export type PullChanges = z.infer<typeof PullChanges.input>;

/**
 * Socket only: changes arrive as `state.changes` {watch, after, changes, revision}. `after` is the
 * revision of the notification before, at first of the watch; a client below it missed one and
 * watches again from its own revision.
 */
export const WatchState = {
  input: z.strictObject({ watch: Id, prefix: Prefix.default(""), after: counter }),
  output: z.object({ watch: Id, revision: counter }),
};
export type WatchState = z.infer<typeof WatchState.input>;

export const UnwatchState = { input: z.strictObject({ watch: Id }), output: z.object({ isRemoved: z.boolean() }) };
export type UnwatchState = z.infer<typeof UnwatchState.input>;
