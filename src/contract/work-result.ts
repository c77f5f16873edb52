import * as z from "zod";

/** Words of other machines that messages quote. */
const plain = z.string().regex(/^[^\p{Cc}]{1,300}$/u);
const hash = z.string().regex(/^[0-9a-f]{40,64}$/);

/** What the worker of a task with a worktree put around the result of its program. */
export const WorkResult = z.object({
  branch: plain.nullable(),
  commit: hash,
  /** Where its own changes begin: behind the merged inputs. */
  base: hash.optional(),
  machine: plain.optional(),
  tests: z.object({ command: z.string() }).optional(),
});
export type WorkResult = z.infer<typeof WorkResult>;
