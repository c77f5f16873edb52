import * as z from "zod";
import { chatErrors, declare } from "./operation.ts";
import { counter, durationMs, Id, limit, Self } from "./values.ts";

/**
 * Sealed records: what machines keep for each other. A coordinator sees ids, sizes and times of
 * them; it cannot open them. A device is one home of SHIM on one machine.
 */

const Device = Id;
/** Name of a key, not the key. */
const KeyId = z.string().regex(/^[0-9a-f]{16}$/, "16 hexadecimal digits");
/** Base64url: 1 MB compressed is 1.4 million characters here, below the 2 MB of a row. */
const maxEnvelopeChars = 1_450_000;
const Envelope = z
  .string()
  .min(1)
  .max(maxEnvelopeChars)
  .regex(/^[\w-]+$/, "base64url");

const sealed = {
  session: Id,
  /** Age of the content when sent. */
  ageMs: durationMs,
  envelope: Envelope,
};

/** State of a session with its newest checkpoint; its files are stored only while this one is. */
const SessionRecord = z.strictObject({
  kind: z.literal("session"),
  ...sealed,
  /** Checkpoint in the envelope; null: it has none. */
  checkpoint: Id.nullable().default(null),
  /** Name of the project that only holders of the key can make. */
  project: Id.nullable().default(null),
  isEnded: z.boolean().default(false),
  /** Version that this one replaces, as this home knows it; 0: none. */
  replaces: counter,
});
/** `checkpoint`: the files are deleted with it. `bundle`: new for each seal of the files. */
const ofFiles = { ...sealed, checkpoint: Id, bundle: Id };
/** Number of parts of one bundle: enough for 64 MB in parts of 256 KiB. */
export const maxFileParts = 256;
const PartNumber = z
  .int()
  .min(0)
  .max(maxFileParts - 1);
const PartRecord = z.strictObject({ kind: z.literal("part"), ...ofFiles, part: PartNumber });
/** Header of a session's uncommitted files; its bundle replaces the one before. */
const FilesRecord = z.strictObject({ kind: z.literal("files"), ...ofFiles });

export const SyncRecord = z.discriminatedUnion("kind", [SessionRecord, PartRecord, FilesRecord]);
export type SyncRecord = z.infer<typeof SyncRecord>;

/** Records of one request, and as many deletions. */
export const maxPutRecords = 200;
/** Time between two hints to a connection, and from one to its last pull, in ms. */
export const syncHintEveryMs = 2_000;

/** With a checkpoint: the files of that; without: the session and all its files. */
const Forgotten = z.strictObject({ session: Id, checkpoint: Id.optional() });

/**
 * stored: also where the coordinator had it already. older: a copied or restored home has stored
 * newer content under this name. closed: its session is not stored, or is over. full: no room.
 */
const PutResult = z.object({
  outcome: z.enum(["stored", "older", "closed", "full"]),
  /** Version of the stored session, and 0 for other records. */
  version: counter,
});
export type PutResult = z.infer<typeof PutResult>;

const Taken = z.object({ chat: Id, machine: z.string() });
export const MirroredSession = z.object({
  device: Device,
  machine: z.string(),
  session: Id,
  checkpoint: Id.nullable(),
  project: Id.nullable(),
  isEnded: z.boolean(),
  version: counter,
  ageMs: durationMs,
  revision: counter,
  taken: Taken.nullable(),
  envelope: z.string(),
});
export type MirroredSession = z.infer<typeof MirroredSession>;

export const syncOperations = {
  "sync.put": declare("work", "POST /sync/records", {
    input: z
      .strictObject({
        device: Device,
        /** Key of the envelopes. */
        keyId: KeyId,
        records: z.array(SyncRecord).max(maxPutRecords).default([]),
        /** Deleted before the records are stored; what is not there is no error. */
        forgotten: z.array(Forgotten).max(maxPutRecords).default([]),
      })
      .refine(({ records, forgotten }) => records.length + forgotten.length > 0, "neither records nor deletions"),
    output: z.object({
      /** Differs from the one before: the coordinator has lost what this device had stored. */
      since: counter,
      /** Grows with what is stored; below an earlier one: the coordinator was restored. */
      revision: counter,
      /** One for each record, in their order. */
      results: z.array(PutResult),
    }),
    errors: ["wrong_key", "quota_exceeded"],
    maxBodyBytes: 4_194_304,
    summary: "Stores sealed records of a device, and deletes others.",
    effectOf: ({ records }) => (records.length > 0 ? "grow" : "free"),
    isPostponable: true,
    example: { device: "d1", keyId: "0123456789abcdef", forgotten: [{ session: "s1" }] },
  }),
  "sync.rekey": declare("work", "POST /sync/rekey", {
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
  "sync.list": declare("work", "GET /sync/sessions", {
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
    surfaces: ["remote"],
  }),
  "sync.read": declare("work", "GET /sync/record", {
    input: z.strictObject({
      device: Device,
      session: Id,
      kind: z.enum(["files", "part"]),
      /** Bundle and number of a part. */
      bundle: Id.optional(),
      part: PartNumber.optional(),
    }),
    output: z.object({
      checkpoint: Id,
      bundle: Id,
      ageMs: durationMs,
      envelope: z.string(),
    }),
    errors: ["unknown_key"],
    summary: "Returns a sealed record of a session's files: their header, or a part of them.",
    example: { device: "d1", session: "s1", kind: "files" },
  }),
  "sync.take": declare("work", "POST /sync/take", {
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
  }),
  "sync.give-back": declare("work", "POST /sync/give-back", {
    input: z.strictObject({ device: Device, session: Id }),
    output: z.object({ wasTaken: z.boolean() }),
    errors: ["unknown_key"],
    summary: "Records that no chat continues the session now.",
    effect: "free",
  }),
  "sync.status": declare("observe", "GET /sync/status", {
    input: z.strictObject({ device: Device.optional() }),
    output: z.object({
      keyId: KeyId.nullable(),
      sessions: counter,
      checkpoints: counter,
      chars: counter,
      devices: z.array(z.object({ device: Device, machine: z.string(), lastPutAgeMs: durationMs })),
    }),
    summary: "Returns the devices, and how much is stored.",
  }),
  "sync.purge": declare("work", "POST /sync/purge", {
    input: z.strictObject({ device: Device, requestId: Id.optional() }),
    output: z.object({ sessions: counter, checkpoints: counter }),
    errors: ["key_reused", "forbidden"],
    summary: "Deletes everything a device has stored; only for the token's own machine, or by an admin.",
    effect: "free",
    isDestructive: true,
  }),
} as const;
