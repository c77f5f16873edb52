import * as z from "zod";
import { Duration, File, Folder } from "../contract/machine/forms.ts";
import { subjects } from "./candidate.ts";

/** A run in one package, as a person asks for it. */
export const EvolveInput = z.strictObject({
  folder: Folder.optional(),
  dryRun: z.boolean().default(false).describe("print the plan, change nothing"),
  maxTasks: z.int().min(1).max(50).default(10).describe("changes to try"),
  budgetCost: z.number().min(0.000_001).max(100_000).optional().describe("for the whole run, in US dollars"),
  budgetTokens: z.int().min(1).max(1_000_000_000).optional().describe("for the whole run"),
  timeLimitMs: Duration.min(1_000).max(604_800_000).optional().describe("for the whole run: 30m, 4h (default: 2h)"),
  maxRejected: z
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe("stop after this many rejected changes in a row (default: 3)"),
  only: z
    .string()
    .transform((text) => text.split(",").flatMap((one) => one.trim() || []))
    .optional()
    .describe(`some of ${subjects.join(", ")}, or tools or rules`),
  tests: z.string().optional().describe("has to succeed, too (default: the project's test framework alone)"),
  allowApi: z.boolean().default(false).describe("keep changes of the public API"),
  retry: z.boolean().default(false).describe("also what the judge has rejected in earlier runs"),
  trust: z.boolean().default(false).describe("run the project's tools and tests, this time"),
  config: File.optional().describe("settings of a worker that has a type with evolve, for its claude"),
  work: z.boolean().default(true).describe("only submit the tasks, for workers of that type"),
});
export type EvolveInput = z.infer<typeof EvolveInput>;
