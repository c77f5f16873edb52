import * as z from "zod";
import { NewTrial, Replayed } from "../learning.ts";
import { declare } from "../operation.ts";
import { idErrors, flag, count } from "./operation.ts";

/** A trial of a setting. */
export const ExperimentView = z.object({
  id: z.string(),
  /** Setting, its value before, and the value that is tried. */
  key: z.string(),
  from: z.number(),
  to: z.number(),
  /** In words; with the verdict of its replay once it is decided. */
  state: z.string(),
  isRunning: z.boolean(),
  reason: z.string(),
  /** Sessions without and with the new value; null before its canary. */
  sessions: z.object({ without: count, with: count }).nullable(),
  /** Oldest first; `note` has figures and reason. */
  steps: z.array(z.object({ at: z.number(), state: z.string(), note: z.string() })).readonly(),
  /** Consequence of ending it now; null: it is over. */
  ending: z.object({ consequence: z.string() }).nullable(),
});
export type ExperimentView = z.infer<typeof ExperimentView>;

const experiment = z.string().min(1).max(60);

/** A step of a setting that replay of the recorded sessions finds better than the present value. */
export const BetterValue = z.object({
  key: z.string(),
  from: z.number(),
  to: z.number(),
  replayed: Replayed,
  /** Its figures, for a person. */
  note: z.string(),
});
export type BetterValue = Readonly<z.infer<typeof BetterValue>>;

export const workflowKindNames = [
  "leave",
  "refused",
  "slow",
  "repeated_failure",
  "read_again",
  "refill",
  "conflict",
  "death",
  "never_works",
  "late_test",
] as const;
export type WorkflowKind = (typeof workflowKindNames)[number];

/** Where time of several chats went. */
const Workflow = z.object({
  kind: z.enum(workflowKindNames),
  /** File, program, tool, project or cause of death. */
  subject: z.string(),
  times: count,
  /** Milliseconds of all chats, each step at most five minutes. */
  ms: count,
  /** Ids of the chats: its proof. */
  sessions: z.array(z.string()).readonly(),
  /** In words. */
  what: z.string(),
  /** One thing that can be done. */
  advice: z.string(),
});
export type Workflow = Readonly<z.infer<typeof Workflow>>;

/** Chats with it, of so many. */
const Share = z.object({ hits: count, n: count });

export const Workflows = z.object({
  /** Findings of the last 28 days, the largest loss first; at most five. */
  found: z.array(Workflow).readonly(),
  /** Findings of the 28 days before the last week, and how often they were in that. */
  earlier: z
    .array(
      z.object({
        what: z.string(),
        change: z.enum(["rarer", "more often", "no difference", "too few chats to tell"]),
        before: Share,
        since: Share,
      }),
    )
    .readonly(),
  /** Older chats of the time, which are too many to be read. */
  unread: count,
});
export type Workflows = Readonly<z.infer<typeof Workflows>>;

const LikePrompts = z.object({
  /** The newest ones of this machine whose turns have ended: at most 1,000. */
  prompts: count,
  /** Those among them that are written like the text, in any language. */
  like: count,
  /** Those among the like ones that were little work. */
  little: count,
});
export type LikePrompts = Readonly<z.infer<typeof LikePrompts>>;

const trialErrors = ["bad_input", "busy", "cannot_act", "cannot_end", "config_invalid"] as const;

export const learningOperations = {
  "review.advance": declare("host", "write", {
    summary: "Advance the machine's trials.",
    output: z.object({ moved: z.array(ExperimentView) }),
  }),
  "report.get": declare("caller", "read", {
    summary: "The report of a week: what died, was saved, was lost, cost and changed.",
    input: z.strictObject({
      week: z.string().max(40).optional().describe("such as 2026-W47 (default: this week)"),
    }),
    /** Markdown. */
    output: z.object({ week: z.string(), report: z.string() }),
    errors: ["bad_input", "not_found"],
    example: { week: "2026-W47" },
  }),
  "report.workflows": declare("caller", "read", {
    summary: "Where the time of your chats went, with what can be done, and whether it helped.",
    /** `texts`: all of it in sentences. */
    output: Workflows.extend({ texts: z.array(z.string()) }),
  }),
  "prompts.like": declare("caller", "read", {
    summary: "What came of earlier prompts that are written like a text.",
    input: z.strictObject({ text: z.string() }),
    output: LikePrompts,
    example: { text: "release version 1.9" },
  }),
  "review.run": declare("caller", "write", {
    summary:
      "One review: replay the records, advance trials, try the best value if `kaizen` is apply, write the report.",
    input: z.strictObject({
      dryRun: flag("say what would be done, and change nothing"),
    }),
    output: z.object({
      /** The largest gain first. */
      better: z.array(BetterValue),
      /** Trials that have changed their state. */
      moved: z.array(ExperimentView),
      /** The one that this review has started. */
      started: ExperimentView.nullable(),
      /** Sentences: what would be done, or why the best value is not tried. */
      notes: z.array(z.string()),
      /** File of the last week's report, if this review has written it. */
      report: z.string().nullable(),
    }),
    example: { dryRun: true },
  }),
  "experiments.list": declare("caller", "read", {
    summary: "Trials of settings of this machine.",
    output: z.object({
      /** Oldest first. */
      experiments: z.array(ExperimentView),
      /** Epoch ms of this answer: what ages are counted from. */
      readAt: z.number(),
    }),
    surfaces: ["page"],
  }),
  "experiments.show": declare("caller", "read", {
    summary: "Plan, figures and steps of one.",
    input: z.strictObject({ experiment }),
    output: ExperimentView,
    errors: idErrors,
  }),
  "experiments.start": declare("caller", "write", {
    summary: "Try a value: on the recorded chats first, and on new ones only where it is better there.",
    input: z.strictObject({
      key: z.string().max(200),
      value: z.number(),
      reason: z.string().default("started by hand").describe("why, for the report"),
    }),
    output: ExperimentView,
    errors: trialErrors,
    example: { key: "checkpoint.everyMs", value: 250_000 },
  }),
  "experiments.begin": declare("host", "write", {
    summary: "Store a trial with its first step, by what the replay of recorded chats says.",
    input: NewTrial,
    output: ExperimentView,
    errors: trialErrors,
    example: {
      key: "checkpoint.everyToolCalls",
      to: 8,
      reason: "replay finds it better",
      replayed: {
        verdict: "undecided",
        difference: -1,
        n: 12,
        changed: 12,
        needed: 20,
        saves: { before: 90, after: 110 },
      },
      isByPerson: false,
    },
  }),
  "experiments.stop": declare("host", "write", {
    summary: "End a trial; its value before is in force at once.",
    input: z.strictObject({
      experiment: experiment.optional(),
      all: z.boolean().optional().describe("every trial; no review starts another: `kaizen` is report then"),
    }),
    output: z.object({ stopped: z.array(ExperimentView) }),
    errors: ["bad_input", ...idErrors, "ended", "config_invalid"],
    surfaces: ["page"],
    example: { experiment: "exp_0a1b2c3d" },
  }),
};
