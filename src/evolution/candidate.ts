import * as z from "zod";
import { Finding } from "../analysis/finding.ts";
import { Budget } from "../contract/budgets.ts";

/** Subjects that a run may be limited to; `tests` adds tests instead of removing findings. */
export const subjects = ["types", "lint", "complexity", "duplicates", "dead code", "tests"] as const;
export const Subject = z.enum(subjects);
export type Subject = z.infer<typeof Subject>;

/** Ways to change code without a model. */
export const Fixer = z.enum(["lint-fix", "unused"]);
export type Fixer = z.infer<typeof Fixer>;

export const CandidateFinding = Finding.pick({
  tool: true,
  rule: true,
  level: true,
  file: true,
  range: true,
  message: true,
  symbol: true,
  fingerprint: true,
});

export type CandidateFinding = z.infer<typeof CandidateFinding>;

/** [EV1] One change that is worth trying. Paths are relative to the project, with `/`. */
export const Candidate = z.object({
  /** Equal for the same findings and method in every run. */
  id: z.string(),
  subject: Subject,
  /** fix: a mechanical change; worker: a model changes the code; person: neither can. */
  method: z.enum(["fix", "worker", "person"]),
  fixer: Fixer.nullable(),
  files: z.array(z.string()).min(1).max(100),
  findings: z.array(CandidateFinding).max(50),
  /** Findings that the change causes in turn, and removes as well. */
  cascade: z.array(CandidateFinding).max(200).default([]),
  /** severity × hotspot ÷ effort */
  value: z.number(),
  severity: z.number(),
  hotspot: z.number(),
  effort: z.number(),
});
export type Candidate = z.infer<typeof Candidate>;

const toolSettings =
  /^(?:\..*(?:rc|ignore|attributes|config)(?:\.\w+)?|.+\.config\.\w+|[jt]sconfig.*\.json|package(?:-lock)?\.json|(?:biome|deno|turbo|nx|fallow|jscpd)\.(?:jsonc?|toml)|knip\.(?:jsonc?|[jt]s)|(?:vitest|jest)\.\w+\.\w+|.*(?:baseline|suppressions)\.json)$/;

/** [EV104] Files that say what tools report: thresholds, exceptions, scripts. */
export function isToolSettings(path: string): boolean {
  return toolSettings.test(path.slice(path.lastIndexOf("/") + 1)) && !/\.test\.\w+$/.test(path);
}

/** Exceptions of the judge. */
export const JudgeRules = z.object({ allowsApi: z.boolean().default(false) });
export type JudgeRules = z.infer<typeof JudgeRules>;

/** Command that has to succeed, beside the test framework; null: the framework alone. */
export type TestWords = readonly [string, ...string[]] | null;

/** [EV8] Bounds of a run as a whole. */
export const RunLimits = z.object({
  /** Counts from the submission, by the coordinator's clock. */
  timeMs: z.int().min(1_000).max(604_800_000).default(7_200_000),
  tokens: z.int().min(1).nullable().default(null),
  costMicros: z.int().min(1).nullable().default(null),
  /** Rejections one after the other that end a run. */
  maxRejected: z.int().min(1).max(100).default(3),
});
export type RunLimits = z.infer<typeof RunLimits>;

export const PlanRequest = z.object({
  evolve: z.literal("plan").default("plan"),
  maxTasks: z.int().min(1).max(50).default(10),
  only: z.array(z.string().min(1).max(200)).max(50).default([]),
  rules: JudgeRules.prefault({}),
  limits: RunLimits.prefault({}),
  budget: Budget.optional(),
});
export type PlanRequest = z.infer<typeof PlanRequest>;

/** Payload of a task that `tool: evolve` does; without `evolve` it asks for a whole run. */
export const EvolveTask = z.union([
  z.object({
    evolve: z.literal("change"),
    candidate: Candidate,
    rules: JudgeRules,
    limits: RunLimits,
  }),
  z.object({ evolve: z.literal("report") }),
  PlanRequest,
]);
export type EvolveTask = z.infer<typeof EvolveTask>;
export type ChangeTask = Extract<EvolveTask, { evolve: "change" }>;
