import * as z from "zod";
import { chatStates } from "../chat-state.ts";
import { crashCauses } from "../readings.ts";
import { TestRun, Verification } from "../verification.ts";
import { declare } from "../operation.ts";
import { File, Folder, IdPrefix, idErrors, Moment, Named, flag } from "./operation.ts";
import { foldedScripts } from "./sessions.ts";

const session = IdPrefix.describe("a session of this machine, or of another one of the workspace");
/** Says of which project this machine has the folder, for a session of another machine. */
const folder = Folder.optional();

const Candidate = Named.extend({
  lastSeenAt: z.int(),
  state: z.enum(chatStates),
  detail: z.string().nullable(),
});
export type Candidate = z.infer<typeof Candidate>;

const ScorePart = z.object({
  name: z.enum(["prompts", "end", "files"]),
  /** 0 to 1. */
  share: z.number(),
  /** The figures, for a person. */
  text: z.string(),
});
export type ScorePart = z.infer<typeof ScorePart>;

/**
 * The part of a session that its brief has, as far as it can be counted: prompts quoted of prompts
 * made, whether the end of the conversation is there, files as the chat left them. `total` is the
 * mean of the parts that apply, 0 to 100. It says nothing of how good the work was.
 */
const RestoreScore = z.object({ total: z.number(), parts: z.array(ScorePart).readonly() });
export type RestoreScore = z.infer<typeof RestoreScore>;

const Brief = Named.extend({
  /** Null while it lives. */
  cause: z.enum(crashCauses).nullable(),
  causeDetail: z.string(),
  score: RestoreScore,
  brief: z.string(),
});

export const Start = z.object({
  /** new: a new chat gets the brief. */
  kind: z.enum(["resume", "new"]),
  /** Name of the client for a user. */
  client: z.string(),
  command: z.string(),
  args: z.array(z.string()).readonly(),
  reason: z.string(),
  /** Folder of the session; null: it is not here. */
  cwd: z.string().nullable(),
  /** Variables for the client's environment. */
  env: z.record(z.string(), z.string()),
  /** Chat that is to take the session before it starts; null: the old session continues. */
  newId: z.string().nullable(),
});
export type Start = z.infer<typeof Start>;

const Plan = Brief.extend({
  client: z.string(),
  /** The living chat that has it in its context; null: none. */
  offer: z.object({ shortId: z.string(), msAgo: z.number() }).nullable(),
  /** Program of the client; null: none can be started from a command line. */
  start: Start.nullable(),
  /** Why it must not be started; null: it may. */
  refusal: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type Plan = z.infer<typeof Plan>;

/** Parts of a session that one of another client does not hold. */
export const lostParts = [
  "image",
  "thought",
  /** Summary of a compaction that the client has encrypted or left out. */
  "summary",
  "subagent_row",
  /** A command that the client carried out without the model. */
  "local_command",
  "api_error",
  "interruption",
  /** A part of a result that the client had left out for the model. */
  "cut_result",
  /** The result of a call that never ended. */
  "missing_result",
] as const;
export type LostPart = (typeof lostParts)[number];

const counted = z.int().min(1);

export const Native = Named.extend({
  /** The new session. */
  made: z.string(),
  /** File of the new session; null: its client keeps it otherwise. */
  file: z.string().nullable(),
  /** The same hand-over had made it already: nothing was written. */
  isRepeated: z.boolean(),
  /** Parts that the new session has. */
  carried: z.object({ prompts: z.int(), answers: z.int(), calls: z.int(), summaries: z.int() }),
  lost: z.array(z.object({ part: z.enum(lostParts), count: counted })),
  /** Parts of the transcript that could not be read, or are missing. */
  damages: z.int(),
  /** Secrets and private texts that markers replace. */
  redacted: z.int(),
  /** Tokens of what the client sends of it, counted by OpenAI's o200k. */
  tokens: z.int(),
  /** Files that are not as the session left them, which the new one does not know. */
  changed: z.array(z.string()),
  /** Tools that the client does not have: their calls keep the names. */
  foreignTools: z.array(z.object({ name: z.string(), count: counted })),
  start: Start,
});
export type Native = z.infer<typeof Native>;

/**
 * Reasons why a session that exists cannot be continued. refused: it can be, but its last prompt
 * may be refused again. unknown: its client ended at once.
 */
export const rescueReasons = [
  "poisoned",
  "unreadable",
  "locked",
  "too_large",
  "deleted",
  "invisible",
  "version",
  "cut_off",
  "refused",
  "unknown",
] as const;
export type RescueReason = (typeof rescueReasons)[number];

const RescueOffer = z.object({
  /** unarchive: by the client's own command. brief: `recovery.plan` with `isNew`. */
  kind: z.enum(["aside", "unarchive", "copy", "brief"]),
  /** Ends no sentence. */
  text: z.string(),
});
export type RescueOffer = z.infer<typeof RescueOffer>;

const Diagnosis = Named.extend({
  client: z.string(),
  /** The client's own file of it; null: there is none, or it keeps it otherwise. */
  file: z.string().nullable(),
  /** Reason, if any; null: nothing is wrong. */
  reason: z.enum(rescueReasons).nullable(),
  /** Where there is no reason: what was checked. Ends no sentence. */
  why: z.string(),
  /** Ways to continue it, cheapest first. */
  offers: z.array(RescueOffer).readonly(),
  /** Parts of the file that hold no row, or not as it was written, and rows that are missing. */
  lost: z.int(),
  /** SHIM has read what its client keeps of it. */
  isRead: z.boolean(),
  isAlive: z.boolean(),
  /** Command for a terminal that does one of them. */
  command: z.string(),
});
export type Diagnosis = z.infer<typeof Diagnosis>;

const hasFailed = flag("its client has just ended within seconds of its start");

export const recoveryOperations = {
  "recovery.check": declare("caller", "write", {
    summary: "The sessions of a project that can be continued: of this machine, else of the other ones.",
    input: z.strictObject({ folder: Folder }),
    output: z.object({
      project: z.string().nullable(),
      /** Newest first. */
      sessions: z.array(Candidate),
      /** Sessions of other projects that died unfinished on this machine. */
      others: z.int(),
    }),
  }),
  "recovery.brief": declare("caller", "read", {
    summary: "The brief of a session, as the next chat would receive it now.",
    input: z.strictObject({ session, folder }),
    output: Brief,
    errors: idErrors,
    surfaces: ["page"],
  }),
  "recovery.recall": declare("caller", "read", {
    summary: "What was said and done in a session, quoted: by words, a file, a time, or the number of a prompt.",
    input: z.strictObject({
      session,
      folder,
      words: z.string().max(400).optional(),
      file: z.string().min(1).max(4_096).optional().describe("a path, or its last parts"),
      at: Moment.optional().describe("what was nearest to a time"),
      prompt: z.int().optional().describe("the number of a prompt, from 1; -1 is the last one"),
      page: z.int().min(1).max(1_000).default(1).describe("of the answer"),
    }),
    /** `text`: names, then passages, with what was left out. `found`: passages that fit. */
    output: Named.extend({ text: z.string(), found: z.int() }),
    errors: ["bad_input", ...idErrors],
    example: { session: "5f0e0e5e", words: "storm rules" },
  }),
  "recovery.plan": declare("caller", "write", {
    summary: "How a session is continued: its brief, and the program that continues it.",
    input: z.strictObject({
      session,
      folder,
      client: z.string().max(100).optional(),
      isNew: flag("in a new chat, also where its client can continue it"),
    }),
    output: Plan,
    errors: ["bad_input", ...idErrors],
  }),
  "recovery.verify": declare("host", "write", {
    summary: "Store a run of the tests on a session's snapshot, with what remotes answer about its effects.",
    input: z.strictObject({ session: IdPrefix, tests: TestRun }),
    output: Verification,
    errors: idErrors,
    isLong: true,
    example: {
      session: "5f0e0e5e",
      tests: {
        at: 1_700_000_000_000,
        commit: "0123456789abcdef0123456789abcdef01234567",
        command: "npm test",
        exitCode: 0,
        trouble: null,
        ms: 12_000,
        output: "12 passed",
        missingFiles: 0,
      },
    },
  }),
  "recovery.take": declare("host", "write", {
    summary: "Give a session to a chat that is about to start.",
    input: z.strictObject({
      session: IdPrefix,
      chat: IdPrefix,
      /** Score of the brief that the chat is given; absent: it is found out. */
      score: z.int().min(0).max(100).optional(),
      /** Hand-over at a usage limit: what continues, and the US dollars spent for it before. */
      limit: z.object({ to: z.string().max(300), usd: z.number().nullable() }).optional(),
    }),
    output: z.object({ session: z.string() }),
    errors: ["not_found"],
  }),
  "recovery.withdraw": declare("host", "write", {
    summary: "Take a session back from a chat that has never begun.",
    input: z.strictObject({ session: IdPrefix, chat: IdPrefix }),
    output: z.object({ isWithdrawn: z.boolean() }),
  }),
  "recovery.dismiss": declare("host", "write", {
    summary: "Never offer a session again on this machine.",
    input: z.strictObject({ session, folder }),
    output: Named,
    errors: idErrors,
    surfaces: ["page"],
  }),
  "recovery.undo": declare("host", "write", {
    summary: "Undo an offer, a recovery or a dismissal: the session counts as incomplete again.",
    input: z.strictObject({ session, folder }),
    /** `isUndone`: false if there was nothing to undo. */
    output: Named.extend({ isUndone: z.boolean() }),
    errors: [...idErrors, "edge_unreachable", "not_released"],
    surfaces: ["page"],
  }),
  "recovery.catch-up": declare("host", "write", {
    summary: "Store what hooks have left, and what the transcript of a session has since.",
    input: z.strictObject({ session: IdPrefix.optional() }),
    output: z.object({}),
  }),
  "recovery.record-death": declare("host", "write", {
    summary: "Store the last that is known of a session whose client has died.",
    input: z.strictObject({ session: IdPrefix }),
    /**
     * `checkpoint`: null: nothing to save, a session that had ended well, or a pause. `trouble`:
     * why the coordinator could not be informed; null: it was, or need not be.
     */
    output: z.object({ checkpoint: z.string().nullable(), trouble: z.string().nullable() }),
  }),
  "transcripts.import": declare("host", "write", {
    summary: "Store a session that SHIM has not recorded, as its client's transcript has it now.",
    input: z.strictObject({
      file: File,
      session: z.string().max(200).optional().describe("session of a database; absent: its only one"),
      folder: Folder.describe("its folder, where the transcript has no name but the hash of it"),
      isLongest: flag("of two files of the session store the one with the later end"),
    }),
    /**
     * `again`: an earlier import was replaced. `recorded`: the chat's hooks have recorded the
     * session, and nothing was taken. `damages`: parts that could not be read, or are missing.
     * `left`: another file of the session, of which nothing is stored.
     */
    output: z.object({
      session: z.string(),
      how: z.enum(["new", "again", "recorded"]),
      damages: z.int(),
      left: z.string().nullable(),
    }),
    errors: ["not_found", "transcript_unusable"],
    isLong: true,
    example: { file: "/home/you/transcript.jsonl" },
  }),
  "transcripts.import-session": declare("host", "write", {
    summary: "Store a session that SHIM has not recorded, from where its client keeps it.",
    input: z.strictObject({
      session: IdPrefix.describe("its id, or the first eight characters of it and more"),
      folder: Folder.describe("its folder, where the client's file names none"),
    }),
    /** `file`: null: its client keeps it otherwise. */
    output: z.object({ session: z.string(), file: z.string().nullable() }),
    errors: [...idErrors, "transcript_unusable"],
    isLong: true,
  }),
  "recovery.make-native": declare("caller", "write", {
    summary: "Write the conversation of a session as a new session of a client, which can resume that one.",
    input: z.strictObject({
      session: IdPrefix,
      folder: Folder,
      client: z.string().max(100).optional().describe("absent: the session's own"),
    }),
    output: Native,
    errors: ["bad_input", ...idErrors, "still_running", "transcript_unusable", "client_missing", "not_written"],
  }),
  "recovery.diagnose": declare("caller", "read", {
    summary: "Why a session cannot be continued in its client, and what works instead.",
    input: z.strictObject({
      session: IdPrefix.optional().describe("absent: the newest of the project that cannot be continued"),
      folder: Folder,
      hasFailed,
    }),
    /** `diagnosis`: null: no session has a reason. `healthy`: those that were checked before. */
    output: z.object({ diagnosis: Diagnosis.nullable(), healthy: z.array(Diagnosis), scripts: foldedScripts }),
    errors: idErrors,
    surfaces: ["page"],
    example: { session: "5f0e0e5e" },
  }),
  "recovery.rescue": declare("caller", "write", {
    summary: "Rename what is in the way of a session, have it unarchived, or copy it without what is wrong with it.",
    input: z.strictObject({
      session: IdPrefix,
      folder: Folder,
      offer: z.enum(["aside", "unarchive", "copy"]),
      hasFailed,
    }),
    output: z.object({
      session: z.string(),
      /** `file`: null: the client keeps its sessions otherwise. */
      copy: z.object({ session: z.string(), file: z.string().nullable(), start: Start }).nullable(),
      /** New name of the file that was in the way. */
      backup: z.string().nullable(),
    }),
    errors: [...idErrors, "not_offered", "still_running", "rescue_failed"],
    example: { offer: "copy" },
  }),
};
