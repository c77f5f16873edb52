import * as z from "zod";
import { counter, Cursor, durationMs, Id, limit, Self } from "./values.ts";

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

export const BeginSync = {
  input: z.strictObject({ device: Device, keyId: KeyId, requestId: Id.optional() }),
  output: z.object({
    epoch: Epoch,
    keyId: KeyId,
  }),
};
export type BeginSync = z.infer<typeof BeginSync.input>;

export const maxPushOps = 50;
export const PushSync = {
  input: z.strictObject({
    device: Device,
    epoch: Epoch,
    /** Epoch of the first op not known to be stored, or before it; stored ops are only compared. */
    ops: z.array(SyncOp).min(1).max(maxPushOps),
  }),
  output: z.object({
    /** Everything up to this number is stored. */
    mark: counter,
    keyId: KeyId,
  }),
};
export type PushSync = z.infer<typeof PushSync.input>;

export const RekeySync = {
  input: z.strictObject({ keyId: KeyId, from: KeyId, requestId: Id.optional() }),
  output: z.object({ keyId: KeyId }),
};
export type RekeySync = z.infer<typeof RekeySync.input>;

/** Parts of one bundle with its header: enough for 64 MB in parts of 256 KiB. */
export const maxFileParts = 257;
const Bundle = Id;

export const PutFiles = {
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
};
export type PutFiles = z.infer<typeof PutFiles.input>;

export const GetFiles = {
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
};
export type GetFiles = z.infer<typeof GetFiles.input>;

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

export const ListSync = {
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
    /** Next `after`. Below the one sent: the coordinator was restored, and lists all of it anew. */
    revision: counter,
    isMore: z.boolean(),
  }),
};
export type ListSync = z.infer<typeof ListSync.input>;

const StoredCheckpoint = z.object({
  checkpoint: Id,
  device: Device,
  session: Id,
  epoch: Epoch,
  seq: counter,
  ageMs: durationMs,
  chars: counter,
});
export const ListCheckpoints = {
  input: z.strictObject({ session: Id, device: Device.optional(), limit: limit(100, 20), cursor: Cursor.optional() }),
  output: z.object({ checkpoints: z.array(StoredCheckpoint), cursor: Cursor.nullable() }),
};
export type ListCheckpoints = z.infer<typeof ListCheckpoints.input>;

export const GetCheckpoint = {
  input: z.strictObject({
    checkpoint: Id,
    /** Copied SHIM folders store the same checkpoints; absent: the newest. */
    device: Device.optional(),
  }),
  output: StoredCheckpoint.extend({ envelope: z.string() }),
};
export type GetCheckpoint = z.infer<typeof GetCheckpoint.input>;

export const TakeSession = {
  input: z.strictObject({
    self: Self,
    device: Device,
    session: Id,
    /** Fencing token of the lease `session:<session>` that the successor holds. */
    token: counter,
  }),
  output: z.object({ isTaken: z.boolean() }),
};
export type TakeSession = z.infer<typeof TakeSession.input>;

export const GiveBackSession = {
  input: z.strictObject({ device: Device, session: Id }),
  output: z.object({ wasTaken: z.boolean() }),
};
export type GiveBackSession = z.infer<typeof GiveBackSession.input>;

export const GetSync = {
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
};
export type GetSync = z.infer<typeof GetSync.input>;

export const PurgeSync = {
  input: z.strictObject({ device: Device, requestId: Id.optional() }),
  output: z.object({ sessions: counter, checkpoints: counter }),
};
export type PurgeSync = z.infer<typeof PurgeSync.input>;
