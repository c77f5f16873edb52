import * as z from "zod";

const plain = z.string().regex(/^[^\p{Cc}]{1,300}$/u);
const hash = z.string().regex(/^[0-9a-f]{40,64}$/);

export const WorkResult = z.object({
  branch: plain.nullable(),
  commit: hash,
  base: hash.optional(),
  machine: plain.optional(),
  tests: z.object({ command: z.string() }).optional(),
});
export type WorkResult = z.infer<typeof WorkResult>;
