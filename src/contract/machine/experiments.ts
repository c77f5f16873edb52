import * as z from "zod";
import { opportunityPatterns } from "../opportunities.ts";
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
