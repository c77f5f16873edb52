import * as z from "zod";
import { Verdict } from "../trials.ts";
import { File, Moment } from "./forms.ts";
import { machineOperation } from "./operation.ts";

const count = z.int().min(0);
const Interval = z.object({ low: z.number(), high: z.number() });
const since = Moment.optional().describe("only sessions seen since (default: 30d)");
const set = z.array(z.string().max(200)).max(50).optional();

/** Another value of a setting. */
const Variant = z.object({ key: z.string(), from: z.number(), value: z.number() });

/** Means over sessions; rates are per active hour of all sessions together. */
export const PolicyMeans = z.object({
  toolCalls: z.number(),
  edits: z.number(),
  seconds: z.number(),
  savesPerHour: z.number(),
  alarmsPerHour: z.number(),
});
export type PolicyMeans = Readonly<z.infer<typeof PolicyMeans>>;

const PairsJudgement = z.object({
  verdict: Verdict,
  /** Other minus present. */
  effect: z.number().nullable(),
  interval: Interval,
  n: count,
  /** Nothing more is observed. */
  isOver: z.boolean(),
  /** Pairs from which on the sample decides; fewer are worth waiting for more. */
  needed: z.number(),
});
export type PairsJudgement = Readonly<z.infer<typeof PairsJudgement>>;

export const Comparison = z.object({
  sessions: count,
  means: PolicyMeans,
  /** Unsaved tool calls of a death elsewhere, other policy minus the present one. */
  toolCalls: PairsJudgement,
  /** Checkpoints per active hour, other minus present. */
  saves: PairsJudgement,
});
export type Comparison = Readonly<z.infer<typeof Comparison>>;

export const ReplayReport = z.object({
  sessions: count,
  /** Sessions whose old events were deleted already: left out. */
  incomplete: count,
  activeHours: z.number(),
  /** Checkpoints that were made, and those among them that the replay makes within 20 s. */
  made: count,
  remade: count,
  means: PolicyMeans,
  /** Mean of the recorded saves; null: none was timed. */
  saveMs: z.number().nullable(),
  deaths: z.object({
    count,
    /** Tool calls that no checkpoint held, all deaths together: the journal held them. */
    unsavedCalls: count,
    /** Deaths before which the risk was danger or higher without a break. */
    warned: count,
    medianLeadSeconds: z.number().nullable(),
  }),
  variants: z.array(Variant.extend({ comparison: Comparison })),
});
export type ReplayReport = Readonly<z.infer<typeof ReplayReport>>;

/** Figures of the whole record. A task without a start has waited as long as a loss can be. */
const QueueOutcomes = z.object({
  /** From the submit to the first start. */
  meanWaitMs: z.number(),
  p95WaitMs: z.number(),
  deadTasks: count,
  /** Chats that came back and had been declared offline. */
  falseDepartures: count,
  /** Attempts that neither ended with a result nor failed; moves are among them. */
  redeliveries: count,
  /** Alarms and requests that tasks need; no pings, and no reports of a chat's status. */
  operations: count,
});
export type QueueOutcomes = Readonly<z.infer<typeof QueueOutcomes>>;

export const SettingsComparison = z.object({
  /** Stretches of the record, each an observation. */
  blocks: count,
  verdict: Verdict,
  /** Mean loss of a task in ms, other settings minus the present ones: below 0 is better. */
  effect: z.number().nullable(),
  interval: Interval,
  outcomes: z.object({ from: QueueOutcomes, to: QueueOutcomes }),
});
export type SettingsComparison = Readonly<z.infer<typeof SettingsComparison>>;

export const replayOperations = {
  "replay.run": machineOperation({
    summary: "What deaths would lose under other settings, by the recorded sessions.",
    input: z.strictObject({
      since,
      corpus: File.optional().describe("sessions of a file that `shim learn replay export <file>` wrote"),
      set: set.describe("compare with these settings, such as checkpoint.everyMs=60000 (default: other intervals)"),
    }),
    output: ReplayReport,
    errors: ["bad_input", "not_found", "too_large", "invalid_corpus"],
    effect: "read",
    example: { set: ["checkpoint.everyMs=60000"] },
  }),
  "replay.workspace": machineOperation({
    summary: "What the workspace's own tasks would have been like under other settings of the workspace.",
    input: z.strictObject({ set: set.describe("such as chatTtlMs=60000 (default: a step of each)") }),
    output: z.object({
      tasks: count,
      chats: count,
      windowMs: z.number(),
      variants: z.array(Variant.extend({ comparison: SettingsComparison })),
    }),
    errors: ["bad_input"],
    effect: "read",
    example: { set: ["chatTtlMs=60000"] },
  }),
  "replay.export": machineOperation({
    summary: "Write the sessions as JSON lines: times, kinds and sizes, no texts, names or paths.",
    input: z.strictObject({ file: File, since }),
    output: z.object({ file: z.string(), sessions: count }),
    errors: ["file_exists", "not_found"],
    effect: "write",
    doneBy: "caller",
    example: { file: "/tmp/sessions.jsonl" },
  }),
};
