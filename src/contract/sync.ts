import * as z from "zod";
import { chatErrors, operation } from "./operation.ts";
import { exampleSelf, counter, Cursor, durationMs, Id, limit, Self } from "./values.ts";

/** A coordinator sees ids, sizes and times of sessions; it cannot open their sealed content. */

const Device = Id;
/** Device epoch: a new one, above all before, after each restore or copy of a SHIM folder. */
const Epoch = z.int().min(1);
/** Name of a key, not the key. */
const KeyId = z.string().regex(/^[0-9a-f]{16}$/, "16 hexadecimal digits");
/** Base64url: 1 MB compressed is 1.4 million characters here, below the 2 MB of a row. */
export const maxEnvelopeChars = 1_450_000;
const Envelope = z
  .string()
  .min(1)
  .max(maxEnvelopeChars)
  .regex(/^[\w-]+$/, "base64url");

interface Parts {
  readonly kind: "session" | "checkpoint" | "forget";
  readonly checkpoint?: string | undefined;
  readonly envelope?: string | undefined;
}

function isWhole({ kind, checkpoint, envelope }: Parts): boolean {
  if ((envelope === undefined) !== (kind === "forget")) return false;
  return kind === "forget" || (checkpoint === undefined) === (kind === "session");
}

export const SyncOp = z
  .strictObject({
    seq: z.int().min(1),
    /** SHA-256 (hex) of all of it but `ageMs`; distinguishes two ops of one number. */
    hash: z.string().regex(/^[0-9a-f]{64}$/, "SHA-256, hexadecimal"),
    /** session, checkpoint: replaces what has its id. forget: deletes what has its id. */
    kind: z.enum(["session", "checkpoint", "forget"]),
    session: Id,
    /** Id for kind checkpoint; a forget without it covers the session and all its checkpoints. */
    checkpoint: Id.optional(),
    /** Name of the project that only holders of the key can make. */
    project: Id.nullable().default(null),
    isEnded: z.boolean().default(false),
    /** Age of the content when sent: across epochs of a device the younger content stays. */
    ageMs: durationMs,
    envelope: Envelope.optional(),
  })
  .refine(isWhole, "a session has an envelope, a checkpoint an id and an envelope, and a forget no envelope");
export type SyncOp = z.infer<typeof SyncOp>;

export const maxPushOps = 200;
/** [SY101] [SY102] Time between two hints to a connection, and from one to its last pull, in ms. */
export const syncHintEveryMs = 2_000;
/** Parts of one bundle with its header: enough for 64 MB in parts of 256 KiB. */
export const maxFileParts = 257;
const Bundle = Id;

const Taken = z.object({ chat: Id, machine: z.string(), ageMs: durationMs });
export const MirroredSession = z.object({
  device: Device,
  machine: z.string(),
  session: Id,
  project: Id.nullable(),
  isEnded: z.boolean(),
  epoch: Epoch,
  seq: counter,
  ageMs: durationMs,
  revision: counter,
  checkpoints: counter,
  newest: z.object({ checkpoint: Id, ageMs: durationMs }).nullable(),
  taken: Taken.nullable(),
  envelope: z.string(),
});
export type MirroredSession = z.infer<typeof MirroredSession>;

const StoredCheckpoint = z.object({
  checkpoint: Id,
  device: Device,
  session: Id,
  epoch: Epoch,
  seq: counter,
  ageMs: durationMs,
  chars: counter,
});

export const syncOperations = {
  "sync.begin": operation("POST /sync/begin", "work", {
    input: z.strictObject({ device: Device, keyId: KeyId, requestId: Id.optional() }),
    output: z.object({
      epoch: Epoch,
      keyId: KeyId,
    }),
    errors: ["key_reused", "wrong_key", "quota_exceeded"],
    summary: "Registers a device, or a new epoch of one; its numbers begin with 1.",
    effect: "grow",
    isPostponable: true,
    example: { device: "d1", keyId: "0123456789abcdef" },
  }),
  "sync.push": operation("POST /sync/push", "work", {
    input: z.strictObject({
      device: Device,
      epoch: Epoch,
      /** Epoch of the first op not known to be stored, or before; stored ops are only compared. */
      ops: z.array(SyncOp).min(1).max(maxPushOps),
    }),
    output: z.object({
      /** Everything up to this number is stored. */
      mark: counter,
      keyId: KeyId,
    }),
    errors: ["unknown_device", "gap", "device_forked", "quota_exceeded"],
    maxBodyBytes: 4_194_304,
    summary: "Stores sealed changes of a device in order; refused unless they begin with the number after the newest.",
    effect: "grow",
    effectOf: ({ ops }) => (ops.some(({ kind }) => kind !== "forget") ? "grow" : "free"),
    isPostponable: true,
    example: {
      device: "d1",
      epoch: 1,
      ops: [{ seq: 1, hash: "a".repeat(64), kind: "forget", session: "s1", ageMs: 0 }],
    },
  }),
  "sync.rekey": operation("POST /sync/rekey", "work", {
    input: z.strictObject({
      keyId: KeyId,
      /** The present key; null registers the first one. */
      from: KeyId.nullable(),
      requestId: Id.optional(),
    }),
    output: z.object({ keyId: KeyId }),
    errors: ["key_reused", "wrong_key"],
    summary: "Registers the workspace's first key, or changes the key under which the workspace seals.",
    effect: "free",
    example: { keyId: "fedcba9876543210", from: "0123456789abcdef" },
  }),
  "sync.list": operation("GET /sync/sessions", "work", {
    input: z.strictObject({
      project: Id.optional(),
      session: Id.optional(),
      device: Device.optional(),
      /** Lists changes after this revision only, oldest first. */
      after: counter.default(0),
      limit: limit(100, 50),
    }),
    output: z.object({
      sessions: z.array(MirroredSession),
      /** Sessions forgotten since `after`, to delete elsewhere too; none in a full list from 0. */
      forgotten: z.array(z.object({ device: Device, session: Id })),
      /** Next `after`. Below the one sent: the coordinator was restored, and lists all again. */
      revision: counter,
      isMore: z.boolean(),
    }),
    summary: "Lists the sealed sessions of all machines, in the order of their last changes.",
    effect: "read",
    surfaces: ["remote"],
    example: {},
  }),
  "sync.checkpoints": operation("GET /sync/checkpoints", "work", {
    input: z.strictObject({ session: Id, device: Device.optional(), limit: limit(100, 20), cursor: Cursor.optional() }),
    output: z.object({ checkpoints: z.array(StoredCheckpoint), cursor: Cursor.nullable() }),
    summary: "Lists the stored checkpoints of a session, newest first, without their content.",
    effect: "read",
    example: { session: "s1" },
  }),
  "sync.checkpoint": operation("GET /sync/checkpoint", "work", {
    input: z.strictObject({
      checkpoint: Id,
      /** Copied SHIM folders store the same checkpoints; absent: the newest. */
      device: Device.optional(),
    }),
    output: StoredCheckpoint.extend({ envelope: z.string() }),
    errors: ["unknown_key"],
    summary: "Returns one sealed checkpoint.",
    effect: "read",
    example: { checkpoint: "k1" },
  }),
  "sync.put-files": operation("POST /sync/files", "work", {
    input: z.strictObject({
      device: Device,
      epoch: Epoch,
      session: Id,
      /** New for each seal, so that parts of two bundles never mix. */
      bundle: Bundle,
      /** Checkpoint of the files, which are deleted with it. */
      checkpoint: Id,
      part: z
        .int()
        .min(0)
        .max(maxFileParts - 1),
      parts: z.int().min(1).max(maxFileParts),
      ageMs: durationMs,
      envelope: Envelope,
    }),
    output: z.object({
      /** Number of stored parts; the complete bundle replaces the one before. */
      stored: counter,
    }),
    errors: ["unknown_device", "unknown_key", "gap", "device_forked", "quota_exceeded"],
    maxBodyBytes: 4_194_304,
    summary:
      "Stores one part of the sealed files of a session that has not ended; the last part replaces the previous bundle.",
    effect: "grow",
    isPostponable: true,
    example: {
      device: "d1",
      epoch: 1,
      session: "s1",
      bundle: "b1",
      checkpoint: "k1",
      part: 0,
      parts: 1,
      ageMs: 0,
      envelope: "sealed",
    },
  }),
  "sync.files": operation("GET /sync/files", "work", {
    input: z.strictObject({
      session: Id,
      device: Device,
      /** Refused when another bundle has replaced it; absent: the stored one. */
      bundle: Bundle.optional(),
      part: z
        .int()
        .min(0)
        .max(maxFileParts - 1)
        .optional(),
    }),
    output: z.object({ bundle: Bundle, checkpoint: Id, parts: counter, ageMs: durationMs, envelope: z.string() }),
    errors: ["unknown_key"],
    summary: "Returns one part of the newest complete files of a session, sealed; the last part is their header.",
    effect: "read",
    example: { session: "s1", device: "d1" },
  }),
  "sync.take": operation("POST /sync/take", "work", {
    input: z.strictObject({
      self: Self,
      device: Device,
      session: Id,
      /** Fencing token of the lease `session:<session>` that the successor holds. */
      token: counter,
    }),
    output: z.object({ isTaken: z.boolean() }),
    errors: [...chatErrors, "unknown_key", "stale_token", "quota_exceeded"],
    summary: "Records that the chat that holds the lease of a session continues it.",
    effect: "grow",
    example: { self: exampleSelf, device: "d1", session: "s1", token: 1 },
  }),
  "sync.give-back": operation("POST /sync/give-back", "work", {
    input: z.strictObject({ device: Device, session: Id }),
    output: z.object({ wasTaken: z.boolean() }),
    errors: ["unknown_key"],
    summary: "Records that no chat continues the session now.",
    effect: "free",
    example: { device: "d1", session: "s1" },
  }),
  "sync.status": operation("GET /sync/status", "observe", {
    input: z.strictObject({ device: Device.optional() }),
    output: z.object({
      keyId: KeyId.nullable(),
      sessions: counter,
      checkpoints: counter,
      chars: counter,
      devices: z.array(
        z.object({
          device: Device,
          machine: z.string(),
          epoch: Epoch,
          mark: counter,
          keyId: KeyId,
          lastPushAgeMs: durationMs,
        }),
      ),
    }),
    summary: "Returns the devices, their marks, and how much is stored.",
    effect: "read",
    example: {},
  }),
  "sync.purge": operation("POST /sync/purge", "work", {
    input: z.strictObject({ device: Device, requestId: Id.optional() }),
    output: z.object({ sessions: counter, checkpoints: counter }),
    errors: ["key_reused", "unknown_device", "forbidden"],
    summary: "Deletes everything a device has stored; only for the token's own machine, or by an admin.",
    effect: "free",
    isDestructive: true,
    example: { device: "d1" },
  }),
} as const;
