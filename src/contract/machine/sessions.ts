import * as z from "zod";
import { chatStates } from "../chat-state.ts";
import { crashCauses, riskLevels } from "../readings.ts";
import { declare } from "../operation.ts";
import { File, Folder, IdPrefix, idErrors, Moment, Named, SessionOrProject, flag, count } from "./operation.ts";

const moment = z.int();

const Risk = z.object({
  score: z.number(),
  level: z.enum(riskLevels),
  reasons: z
    .array(
      z.object({
        name: z.string(),
        value: z.number(),
        threshold: z.number(),
        weight: z.number(),
        source: z.enum(["measured", "reported", "estimated"]),
      }),
    )
    .readonly(),
});
export type Risk = z.infer<typeof Risk>;

/** A session of any machine of the workspace. Times are epoch ms of this machine. */
export const SessionView = z.object({
  id: z.string(),
  /** The other machine that has it; null: this one. */
  machine: z.string().nullable(),
  /** Shortest prefix of the id that is unique on this machine. */
  shortId: z.string(),
  state: z.enum(chatStates),
  detail: z.string().nullable(),
  /** Whether its client runs, as far as this machine, or the coordinator, can see. */
  isAlive: z.boolean(),
  client: z.string(),
  clientVersion: z.string().nullable(),
  project: z.string().nullable(),
  title: z.string().nullable(),
  name: z.string().nullable(),
  model: z.string().nullable(),
  pid: z.int().nullable(),
  startedAt: moment,
  lastSeenAt: moment,
  savedAt: moment.nullable(),
  endedAt: moment.nullable(),
  checkpoints: count,
  toolCalls: count,
  toolErrors: count,
  /** Share of the context in use, 0 to 1; null when unknown. */
  contextFill: z.number().nullable(),
  /** Null for sessions that are not alive. */
  risk: Risk.nullable(),
  /** When its client began to wait for the user; null: it does not, or does not say since when. */
  waitingSince: moment.nullable(),
  /** Null unless the session died or was closed. */
  cause: z.enum(crashCauses).nullable(),
  causeDetail: z.string().nullable(),
  /** The living chat that has it in its context; null: none. */
  offer: z.object({ chat: z.string(), at: moment, shortId: z.string() }).nullable(),
});
export type SessionView = z.infer<typeof SessionView>;

export const TimelineEntry = z.object({
  at: moment,
  source: z.enum(["journal", "effect", "signal", "checkpoint", "snapshot", "crash", "recovery"]),
  kind: z.string(),
  text: z.string(),
  /** Number of the prompt that it is, for `shim fork`; absent: it is none. */
  prompt: z.int().optional(),
});
export type TimelineEntry = z.infer<typeof TimelineEntry>;

const Checkpoint = z.object({
  seq: z.int(),
  id: z.string(),
  session: z.string(),
  at: moment,
  trigger: z.string(),
  /** SHA-256 (hex) of the state as JSON. */
  hash: z.string(),
  /** Last journal row that is folded into the state. */
  journalSeq: z.int(),
  rawBytes: count,
  redactions: count,
  summary: z.string(),
});

export const ListedCheckpoint = Checkpoint.extend({
  shortId: z.string(),
  contents: z.object({
    lastRequest: z.string().nullable(),
    isDamaged: z.boolean(),
  }),
});
export type ListedCheckpoint = z.infer<typeof ListedCheckpoint>;

export const CheckpointGroup = z.object({
  id: z.string(),
  shortId: z.string(),
  title: z.string().nullable(),
  project: z.string().nullable(),
  /** Number of all checkpoints that match. */
  total: count,
  /** Newest first, cut to the limit. */
  checkpoints: z.array(ListedCheckpoint),
});
export type CheckpointGroup = z.infer<typeof CheckpointGroup>;

/** Runs of scripts that are left out beside chats of persons. */
export const foldedScripts = count;

const limit = z.int().min(1).max(10_000).default(20);
const rows = z.array(z.looseObject({ at: z.int() })).readonly();

export const sessionOperations = {
  "sessions.list": declare("caller", "read", {
    summary: "Chats of persons, newest first, then runs of scripts; `show <id>` prints what happened in one.",
    input: z.strictObject({
      project: Folder.optional().describe("only those of this project"),
      incomplete: flag("only those that can be continued"),
      allMachines: flag("also those of the workspace's other machines"),
      scripts: flag("also the runs of scripts, as of `claude -p`"),
      limit: limit.describe("at most this many"),
    }),
    output: z.object({
      project: z.string().nullable(),
      /** Sessions of this machine, then those of others. */
      sessions: z.array(SessionView),
      scripts: foldedScripts,
      /** Whether there are other machines to ask: a workspace on an edge, and its key. */
      hasOthers: z.boolean(),
    }),
    example: { incomplete: true },
  }),
  "sessions.find": declare("caller", "read", {
    summary: "The session or the checkpoint that the beginning of an id means.",
    input: z.strictObject({ id: IdPrefix }),
    output: z.object({
      kind: z.enum(["session", "checkpoint"]),
      id: z.string(),
      title: z.string().nullable(),
      /** Whether the session's client runs; never of a checkpoint. */
      isAlive: z.boolean(),
    }),
    errors: idErrors,
    example: { id: "5f0e0e5e" },
  }),
  "sessions.show": declare("caller", "read", {
    summary: "What happened in a session, oldest first, then its newest checkpoints.",
    input: z.strictObject({ session: IdPrefix, limit: limit.describe("at most this many checkpoints") }),
    output: z.object({
      session: SessionView,
      timeline: z.array(TimelineEntry),
      checkpoints: z.array(ListedCheckpoint),
      /** Number of all its checkpoints. */
      total: count,
    }),
    errors: idErrors,
  }),
  "sessions.name": declare("host", "write", {
    summary: "Give a session a name, which lists and briefs show instead of its first request.",
    input: z.strictObject({
      session: IdPrefix,
      name: z.string().max(10_000).optional(),
      clear: flag("remove the name"),
    }),
    output: Named.extend({ name: z.string().nullable() }),
    errors: ["bad_input", ...idErrors],
    example: { name: "Parser work" },
  }),
  "sessions.search": declare("caller", "read", {
    summary: "Find sessions and their checkpoints by words; all must occur.",
    input: z.strictObject({
      text: z.string().min(1).max(10_000),
      session: IdPrefix.optional().describe("only of this session"),
      project: Folder.optional().describe("only of this project"),
      since: Moment.optional().describe("not older: 2d, 3h, 2026-11-20"),
      until: Moment.optional().describe("not newer"),
      limit: limit.describe("at most this many sessions, or checkpoints of --session"),
    }),
    /** `missing`: why the newest checkpoints were not searched; null: all were. */
    output: z.object({ text: z.string(), sessions: z.array(CheckpointGroup), missing: z.string().nullable() }),
    errors: idErrors,
    example: { text: "tokenizer" },
  }),
  "sessions.index": declare("host", "write", {
    summary: "Index the newest checkpoints for the search.",
    output: z.object({}),
  }),
  "checkpoints.get": declare("caller", "read", {
    summary: "A checkpoint: the whole state.",
    input: z.strictObject({ checkpoint: IdPrefix }),
    output: z.object({
      checkpoint: Checkpoint.extend({ shortId: z.string() }),
      state: z.unknown(),
      snapshot: z.object({ state: z.string(), reason: z.string().nullable() }).loose().nullable(),
    }),
    errors: [...idErrors, "checkpoint_damaged"],
    example: { checkpoint: "cp_018f" },
  }),
  "sessions.stored": declare("caller", "read", {
    summary: "Everything that is stored of a session, in full.",
    input: z.strictObject({ session: IdPrefix }),
    output: z.object({
      session: z.looseObject({ id: z.string() }),
      /** `text`: the entry in words. */
      journal: z.array(z.looseObject({ at: z.int(), text: z.string() })).readonly(),
      checkpoints: rows,
      snapshots: rows,
      signals: rows,
      crashes: rows,
      recoveries: rows,
      continued: rows,
      clients: rows,
      /** Copies that may hold the same. */
      copies: z.object({ backups: count }),
    }),
    errors: idErrors,
  }),
  "sessions.forget": declare("host", "destructive", {
    summary: "Delete a session, or a project, with every copy.",
    input: z.strictObject({
      target: SessionOrProject,
      isCheckpoint: flag("the target is the whole id of a checkpoint"),
      keepsCopies: flag("the copies stay, and a backup is made first"),
    }),
    /** `backup`: its file; null: none was made. */
    output: z.object({
      sessions: count,
      checkpoints: count,
      snapshots: count,
      rows: count,
      backup: z.string().nullable(),
    }),
    errors: [...idErrors, "files_left"],
    isLong: true,
    surfaces: ["page"],
    example: { target: "5f0e0e5e" },
  }),
  "sessions.export": declare("caller", "write", {
    summary: "Everything stored, as JSON lines; to stdout without a file.",
    input: z.strictObject({
      file: File.optional(),
      session: IdPrefix.optional().describe("only this session"),
      project: Folder.optional().describe("only this project"),
      since: Moment.optional().describe("only sessions seen since"),
    }),
    /** `isTemporary`: no file was named, and who reads this one deletes it. */
    output: z.object({ file: z.string(), isTemporary: z.boolean(), lines: count, session: z.string().nullable() }),
    errors: [...idErrors, "file_exists"],
    example: { session: "5f0e0e5e" },
  }),
  "sessions.import": declare("host", "write", {
    summary: "Add what an export has and this machine does not.",
    input: z.strictObject({ file: File }),
    output: z.object({ file: z.string(), added: count, skipped: count }),
    errors: ["not_found", "not_a_file", "import_refused"],
    isLong: true,
    example: { file: "/tmp/shim-export.jsonl" },
  }),
};
