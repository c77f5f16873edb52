import * as z from "zod";
import { WorkKind } from "./plans.ts";

const points = z.number().min(0).max(9);

const Scale = z
  .strictObject({ points, from: z.number().min(1), full: z.number() })
  .refine(({ from, full }) => full > from, "full is more than from");
export type Scale = z.infer<typeof Scale>;

/** Weight of each signal; the score is 1 plus the sum of the points, at most 10. */
export const ComplexityWeights = z.strictObject({
  files: Scale,
  modules: Scale,
  steps: Scale,
  textChars: Scale,
  payloadChars: Scale,
  /** Points per kind of work; together at most `most`. */
  kinds: z.strictObject({ most: points, of: z.record(WorkKind, points) }),
  threshold: z.number().min(1).max(10),
});
export type ComplexityWeights = z.infer<typeof ComplexityWeights>;
