import * as z from "zod";
import { Duration } from "../contract/machine/forms.ts";
import { codemodTools } from "./change.ts";

/** A transform of the project here, as a person asks for it. */
export const TransformInput = z.strictObject({
  what: z.string().min(1),
  paths: z.array(z.string()).default([]),
  branch: z
    .boolean()
    .default(false)
    .describe("leave a branch shim/transform-... once a second run changes nothing and the tests pass"),
  tool: z.enum(codemodTools).optional().describe("what a codemod is for (default: by its text)"),
  /** False: none are to run. */
  tests: z
    .union([z.literal(false), z.string()])
    .optional()
    .describe("with --branch: a command that has to succeed (default: npm test, where package.json has one)"),
  allowRepeat: z.boolean().default(false).describe("with --branch: also where a second run changes the files again"),
  trust: z.boolean().default(false).describe("also run code of the project, this time"),
  timeLimitMs: Duration.min(1_000)
    .max(3_600_000)
    .optional()
    .describe("for each run of the tool, and for the tests (default: 10m)"),
});
export type TransformInput = z.infer<typeof TransformInput>;
