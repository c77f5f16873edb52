import * as z from "zod";
import { counter, durationMs, Id, Json, limit, whole } from "./values.ts";

/** Keys that begin with `$` are the coordinator's own: `$chat/<chat>`, `$leader/<name>`, `$file/<project>/<path>`. They can be watched, not written. */
const Key = whole(z.string().regex(/^[^\p{Cc}]{1,512}$/u, "1 to 512 characters without control characters")).refine(
  (key) => !key.startsWith("$"),
  "keys that begin with $ are the coordinator's own",
);
const Prefix = z.string().max(512);

/** Of one value as JSON, in characters. */
export const maxValueChars = 131_072;
/** Where keys below `session/` are set without a ttl. */
export const sessionTtlMs = 3_600_000;
const Ttl = z.int().min(1_000).max(31_536_000_000);

/** The write happens only while this lease is held with this token. */
export const Guard = z.strictObject({ resource: z.string().max(520), token: counter });
export type Guard = z.infer<typeof Guard>;

/** The version that the key must have; 0: it must not be there. */
const ifVersion = counter.optional();

export const Entry = z.object({
  key: z.string(),
  value: Json,
  /** The revision of its last change: grows for ever, also over a deletion. */
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
  /** Only the condition. */
  z.strictObject({ op: z.literal("check"), key: Key, ifVersion: counter }),
]);
export type Write = z.infer<typeof Write>;

/** All or nothing, under all conditions at once. */
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
  /** Changes of one update have one group, and are never told apart. */
  group: counter,
  key: z.string(),
  op: z.enum(["set", "delete", "expire"]),
  value: Json.nullable(),
  by: Id.nullable(),
});
export type Change = z.infer<typeof Change>;

/** What happened below a prefix after a revision, oldest first. Below the compaction floor: `compacted`, and a list begins anew. */
export const PullChanges = {
  input: z.strictObject({ prefix: Prefix.default(""), after: counter, limit: limit(500, 200) }),
  output: z.object({
    changes: z.array(Change),
    /** Everything up to here is told. */
    revision: counter,
    isMore: z.boolean(),
  }),
};
export type PullChanges = z.infer<typeof PullChanges.input>;

/**
 * On a socket only: changes come as notifications `state.changes` {watch, after, changes, revision}. `after` is the revision of the one before,
 * at first that of the watch: who has not got as far has missed one, and watches anew from where it stands.
 */
export const WatchState = {
  input: z.strictObject({ watch: Id, prefix: Prefix.default(""), after: counter }),
  output: z.object({ watch: Id, revision: counter }),
};
export type WatchState = z.infer<typeof WatchState.input>;

export const UnwatchState = { input: z.strictObject({ watch: Id }), output: z.object({ isRemoved: z.boolean() }) };
export type UnwatchState = z.infer<typeof UnwatchState.input>;
