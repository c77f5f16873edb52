import * as z from "zod";
import { counter, Cursor, durationMs, Id, limit, Self } from "./values.ts";

/**
 * What machines of a workspace keep for each other: sessions and checkpoints, sealed where they were made. A coordinator sees ids, sizes and
 * times of them, and stores texts that it cannot open.
 */

/** One home of SHIM on one machine. */
const Device = Id;
/** Of a device: given by the coordinator, another one after each restore and each copy of its home. Each is above all that were given before. */
const Epoch = z.int().min(1);
/** Name of a key, not the key: 16 hexadecimal digits. */
const KeyId = z.string().regex(/^[0-9a-f]{16}$/, "16 hexadecimal digits");
/** A sealed text: base64url. A checkpoint has at most 1 MB compressed, which is 1.4 million characters here, below the 2 MB of a row. */
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
    /** In the order of the device, without gaps. */
    seq: z.int().min(1),
    /** SHA-256 (hex) of all of it but `ageMs`: tells one op from another of the same number. */
    hash: z.string().regex(/^[0-9a-f]{64}$/, "SHA-256, hexadecimal"),
    /** session, checkpoint: what it has is stored, in place of what was stored under its id. forget: what is stored under its id is deleted. */
    kind: z.enum(["session", "checkpoint", "forget"]),
    session: Id,
    /** Of kind checkpoint; a forget without it is of the session and all its checkpoints. */
    checkpoint: Id.optional(),
    /** A name for the project that only holders of the key can make. */
    project: Id.nullable().default(null),
    isEnded: z.boolean().default(false),
    /** How old its content was when it was sent: of two that a device tells in different epochs the younger one stays. */
    ageMs: durationMs,
    /** Absent in a forget. */
    envelope: Envelope.optional(),
  })
  .refine(isWhole, "a session has an envelope, a checkpoint an id and an envelope, and a forget no envelope");
export type SyncOp = z.infer<typeof SyncOp>;

export const BeginSync = {
  input: z.strictObject({ device: Device, keyId: KeyId, requestId: Id.optional() }),
  output: z.object({
    epoch: Epoch,
    /** Under which key the workspace seals by now. */
    keyId: KeyId,
  }),
};
export type BeginSync = z.infer<typeof BeginSync.input>;

export const maxPushOps = 50;
export const PushSync = {
  input: z.strictObject({
    device: Device,
    epoch: Epoch,
    /** Of the first op that was not known to be stored before, or before it: those that are stored are only compared. */
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

/** Of one bundle of files, with its header: enough for 64 MB in parts of 256 KiB. */
export const maxFileParts = 257;
/** One bundle holds the files of one checkpoint, sealed once. */
const Bundle = Id;

export const PutFiles = {
  input: z.strictObject({
    device: Device,
    epoch: Epoch,
    session: Id,
    /** Another one each time files are sealed, so that parts of two are never mixed. */
    bundle: Bundle,
    /** Whose files they are: they are deleted with it. */
    checkpoint: Id,
    /** From 0 on, one after the other. */
    part: z
      .int()
      .min(0)
      .max(maxFileParts - 1),
    parts: z.int().min(1).max(maxFileParts),
    /** How old the files were when this was sent. */
    ageMs: durationMs,
    envelope: Envelope,
  }),
  output: z.object({
    /** How many parts are stored. With all of them the bundle replaces the one before. */
    stored: counter,
  }),
};
export type PutFiles = z.infer<typeof PutFiles.input>;

export const GetFiles = {
  input: z.strictObject({
    session: Id,
    device: Device,
    /** Refused when another one has replaced it. Without it, the one that is stored. */
    bundle: Bundle.optional(),
    /** Without it, the last one. */
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
  /** Of the op that is shown: in a later epoch the numbers begin anew. */
  epoch: Epoch,
  seq: counter,
  ageMs: durationMs,
  /** Grows with each change of the row: ask for those after it. */
  revision: counter,
  /** How many checkpoints of it are stored, and the newest of them. */
  checkpoints: counter,
  newest: z.object({ checkpoint: Id, ageMs: durationMs }).nullable(),
  /** Who goes on with it. */
  taken: Taken.nullable(),
  envelope: z.string(),
});
export type MirroredSession = z.infer<typeof MirroredSession>;

export const ListSync = {
  input: z.strictObject({
    project: Id.optional(),
    session: Id.optional(),
    device: Device.optional(),
    /** Only what has changed after this revision, oldest change first. */
    after: counter.default(0),
    limit: limit(100, 50),
  }),
  output: z.object({
    sessions: z.array(MirroredSession),
    /** Those that were forgotten since `after`: what is kept of them elsewhere goes, too. None where all is listed, from 0 on. */
    forgotten: z.array(z.object({ device: Device, session: Id })),
    /** Ask for what comes after it. Below `after`: the coordinator was restored, and all of it is listed anew. */
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
    /** A copied home stores the same ones: without it, the newest. */
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
    /** Of the lease `session:<session>`, which the taker holds. */
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
