import * as z from "zod";
import { opportunityPatterns } from "../opportunities.ts";
import { NewTrial, WorkspaceTrial } from "../trials.ts";
import { ExperimentView } from "./experiments.ts";
import { Moment } from "./forms.ts";
import { machineOperation } from "./operation.ts";

const count = z.int().min(0);

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
