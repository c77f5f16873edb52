import * as z from "zod";
import { opportunityPatterns } from "../opportunities.ts";
import { NewTrial, WorkspaceTrial, Verdict } from "../trials.ts";
import { Moment, File } from "./forms.ts";
import { machineOperation } from "./operation.ts";

const count = z.int().min(0);

/** A trial of a setting: of this machine, or of its workspace. */
export const ExperimentView = z.object({
  id: z.string(),
  scope: z.enum(["machine", "workspace"]),
  /** Setting, its value before, and the value that is tried. */
  key: z.string(),
  from: z.number(),
  to: z.number(),
  /** In words; with the verdict once it is decided. */
  state: z.string(),
  isRunning: z.boolean(),
  reason: z.string(),
  /** Fixed before the start; null: without a canary. */
  plan: z
    .object({
      /** Share of the new sessions; half of them get the new value. */
      share: z.number(),
      sessions: count,
      maxDays: z.number(),
      decidedBy: z.string(),
      guardrails: z.array(z.string()),
    })
    .nullable(),
  /** Sessions without and with the new value; null before its canary. */
  sessions: z.object({ without: count, with: count }).nullable(),
  /** Oldest first; `note` has figures and reason. */
  steps: z.array(z.object({ at: z.number(), state: z.string(), note: z.string() })).readonly(),
  /** How a person can end it now; null: it is over. */
  ending: z.object({ isRevert: z.boolean(), effect: z.string() }).nullable(),
});
export type ExperimentView = z.infer<typeof ExperimentView>;

/** Why those of the workspace were not reached; null: they were. */
const workspaceProblem = z.string().nullable();
const experiment = z.string().min(1).max(60);

export const experimentOperations = {
  "experiments.list": machineOperation({
    summary: "Trials of settings, of this machine and its workspace.",
    output: z.object({
      /** Oldest first. */
      experiments: z.array(ExperimentView),
      /** Epoch ms of the switch that keeps all from starting; null: they may. */
      offSince: z.number().nullable(),
      /** Findings of the last `opportunities.list` by pattern, until its window has passed. */
      opportunities: z.array(z.object({ pattern: z.enum(opportunityPatterns), n: count })).readonly(),
      workspaceProblem,
      /** Epoch ms of this answer: what ages are counted from. */
      readAt: z.number(),
    }),
    effect: "read",
    surfaces: ["command", "page"],
  }),
  "experiments.show": machineOperation({
    summary: "Plan, figures and steps of one.",
    input: z.strictObject({ experiment }),
    output: ExperimentView,
    errors: ["not_found", "ambiguous"],
    effect: "read",
    example: { experiment: "exp_0a1b2c3d" },
  }),
  "experiments.start": machineOperation({
    summary: "Try a value with a share of the sessions that begin from now on; one of the workspace with all chats.",
    input: z.strictObject({
      key: z.string().max(200),
      value: z.number(),
      reason: z.string().default("started by hand").describe("why, for the report"),
      lessSafe: z
        .boolean()
        .optional()
        .describe("also a value with which more may be lost at a death, or one is noticed later"),
    }),
    output: ExperimentView,
    errors: [
      "bad_input",
      "less_safe",
      "by_person",
      "busy",
      "switched_off",
      "cannot_end",
      "config_invalid",
      "budget_spent",
    ],
    effect: "write",
    example: { key: "balancingIntervalMs", value: 2_500 },
  }),
  "experiments.stop": machineOperation({
    summary: "End a trial; its value before is in force at once.",
    input: z.strictObject({
      experiment: experiment.optional(),
      all: z.boolean().optional().describe("every trial, and none starts until `shim learn experiments allow`"),
    }),
    output: z.object({ stopped: z.array(ExperimentView), workspaceProblem }),
    errors: ["bad_input", "not_found", "ambiguous", "ended"],
    effect: "write",
    surfaces: ["command", "page"],
    example: { experiment: "exp_0a1b2c3d" },
  }),
  "experiments.revert": machineOperation({
    summary: "Take back a value that was deployed and kept.",
    input: z.strictObject({ experiment }),
    output: ExperimentView,
    errors: ["not_found", "ambiguous", "ended"],
    effect: "write",
    surfaces: ["command", "page"],
    example: { experiment: "exp_0a1b2c3d" },
  }),
  "experiments.allow": machineOperation({
    summary: "Let experiments start again after `stop --all`.",
    output: z.object({ workspaceProblem }),
    effect: "write",
    surfaces: ["command", "page"],
  }),
};

export const Finding = z.object({
  /** Stays the same from run to run. */
  id: z.string(),
  pattern: z.enum(opportunityPatterns),
  /** A setting's key, or a task type: the user's text, never a label of a metric. */
  subject: z.string(),
  evidence: z.object({ n: count, windowMs: z.number(), figures: z.record(z.string(), z.number()) }),
  /** Key of a setting that SHIM may change; null: none answers to this. */
  parameter: z.string().nullable(),
  from: z.number().nullable(),
  /** Null where a person must decide; `figures.suggested` then has a step, if there is one. */
  to: z.number().nullable(),
  direction: z.enum(["up", "down"]).nullable(),
  /** Effect of one step, computed from the records, with an approximate 95 % interval. */
  expected: z
    .object({
      figure: z.enum(["sharePrevented", "toolCallsLost"]),
      value: z.number(),
      low: z.number(),
      high: z.number(),
    })
    .nullable(),
  test: z.enum(["replay", "simulation", "person"]),
  confidence: z.object({
    /** Corrected for all tests of the run. */
    pValue: z.number(),
    /** association: what is found together need not cause it; moment: seen once, not over time. */
    basis: z.enum(["measured", "association", "moment"]),
  }),
  /** In plain English, for a person who does not know the code. */
  title: z.string(),
  /** Observation, with its figures. */
  text: z.string(),
  /** Action for the reader. */
  advice: z.string(),
});
export type Finding = z.infer<typeof Finding>;

/** Least likely by chance first. */
const findings = z.array(Finding).readonly();

export const learningOperations = {
  "opportunities.list": machineOperation({
    summary: "What the records of this machine and its team say should change.",
    input: z.strictObject({ since: Moment.optional().describe("not older: 7d, 2026-11-20 (default: 30d)") }),
    output: z.object({
      since: z.int(),
      /** Epoch ms. */
      until: z.int(),
      sessions: count,
      findings,
      /** Not tested, for want of cases. */
      unjudged: z.array(z.object({ pattern: z.string(), subject: z.string(), n: count, minimum: count })).readonly(),
      /** Why the team was not examined; null: it was. */
      teamProblem: z.string().nullable(),
      /** False: the audit log, which says who came back, needs an admin token. */
      hasDepartures: z.boolean(),
    }),
    effect: "write",
    doneBy: "caller",
  }),
  "review.store": machineOperation({
    summary: "Store what an examination has found and a review has done, and advance the machine's trials.",
    input: z.strictObject({
      /** For the metrics. `until`: when the evidence has left the window, in epoch ms. */
      found: z.object({ until: z.int(), patterns: z.array(z.enum(opportunityPatterns)) }).optional(),
      /** Moves each running trial one step on, and tries this one. Absent: no trial moves. */
      trial: NewTrial.nullable().optional(),
      /** Done in the workspace, by its name of this machine. Stopped trials are announced once. */
      workspace: z
        .object({
          machine: z.string(),
          trials: z.array(WorkspaceTrial),
          moved: z.object({ id: z.string(), state: z.string() }).nullable(),
        })
        .optional(),
      /** Sessions of an experiment that its service has received. */
      sent: z.object({ experiment: z.string(), count }).optional(),
    }),
    output: z.object({ moved: z.array(ExperimentView), started: ExperimentView.nullable() }),
    effect: "write",
    surfaces: [],
    example: { trial: null },
  }),
  "report.get": machineOperation({
    summary: "The report of a week: what died, was saved, was lost, cost and changed.",
    input: z.strictObject({
      week: z.string().max(40).optional().describe("such as 2026-W47 (default: this week)"),
    }),
    /** Markdown. */
    output: z.object({ week: z.string(), report: z.string() }),
    errors: ["bad_input", "not_found"],
    effect: "read",
    example: { week: "2026-W47" },
  }),
  "review.run": machineOperation({
    summary: "One review: examine, advance trials, try the best finding if `kaizen` is apply, write the report.",
    input: z.strictObject({
      dryRun: z.boolean().default(false).describe("say what would be done, and change nothing"),
    }),
    output: z.object({
      findings,
      /** Trials that have changed their state. */
      moved: z.array(ExperimentView),
      /** The one that this review has started. */
      started: ExperimentView.nullable(),
      /** Sentences: what was done or would be, and why some findings are not tried yet. */
      notes: z.array(z.string()),
      /** File of the last week's report, if this review has written it. */
      report: z.string().nullable(),
    }),
    effect: "write",
    doneBy: "caller",
    example: { dryRun: true },
  }),
};

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
