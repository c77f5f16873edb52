import * as z from "zod";
import { codemodTools, linterNames } from "./change.ts";

/** In the repository, with `/`; nothing leads out of it. */
const Path = z
  .string()
  .max(1_000)
  .regex(/^[^/\p{Cc}][^\p{Cc}]*$/u, "a path in the repository")
  .refine((path) => !path.split("/").includes(".."), "a path in the repository has no ..");

/**
 * [TX13] Payload of a task: exactly one of `rule`, `codemod` and `lintFix`. Code comes from the
 * repository alone, since a task does not choose programs.
 */
export const TransformTask = z
  .strictObject({
    /** Rules of ast-grep, in YAML, which are data. */
    rule: z.string().min(1).max(100_000).optional(),
    /** Path of a rule, a folder of rules or a codemod. */
    codemod: Path.optional(),
    tool: z.enum(codemodTools).optional(),
    lintFix: z.union([z.literal(true), z.enum(linterNames)]).optional(),
    paths: z.array(Path).max(100).default([]),
    allowRepeat: z.boolean().default(false),
  })
  .refine(
    ({ rule, codemod, lintFix }) => [rule, codemod, lintFix].filter((one) => one !== undefined).length === 1,
    "give one of rule, codemod and lintFix",
  );
export type TransformTask = z.infer<typeof TransformTask>;
