import * as z from "zod";
import { Duration, File } from "../contract/machine/forms.ts";
import { defaultLimits } from "./run-mutants.ts";

export const MutantsInput = z.strictObject({
  files: z.array(z.string()).min(1),
  max: z.int().min(1).max(5_000).default(defaultLimits.maxMutants).describe("try at most so many, drawn by the seed"),
  seed: z.int().min(1).max(4_294_967_295).default(1).describe("draws them"),
  timeLimitMs: Duration.min(1_000).max(43_200_000).optional().describe("for all of it (default: 30m)"),
  trust: z.boolean().default(false).describe("run the project's tests, this time"),
  stryker: File.optional().describe("read Stryker's JSON report instead, and run nothing"),
});
export type MutantsInput = z.infer<typeof MutantsInput>;
