import * as z from "zod";
import { WorkKind } from "./plans.ts";

const points = z.number().min(0).max(9);

/** Up to `from` a signal adds nothing, at `full` all its points, between them by its logarithm. */
const Scale = z
  .strictObject({ points, from: z.number().min(1), full: z.number() })
  .refine(({ from, full }) => full > from, "full is more than from");
export type Scale = z.infer<typeof Scale>;

/** How much each signal of a job counts; the score is 1 and the sum of the points, at most 10. */
export const ComplexityWeights = z.strictObject({
  files: Scale,
  /** Folders with files of the job. */
  modules: Scale,
  /** Items of lists and words of sequence in the text. */
  steps: Scale,
  textChars: Scale,
  /** Of the payload as JSON. */
  payloadChars: Scale,
  /** Each kind of work adds its own points, together at most `most`. */
  kinds: z.strictObject({ most: points, of: z.record(WorkKind, points) }),
  /** A job with a score above it is worth splitting. */
  threshold: z.number().min(1).max(10),
});
export type ComplexityWeights = z.infer<typeof ComplexityWeights>;

/**
 * The threshold is the product's: above 8 of 10 a job is split. The points are a judgement, not measured: the reach of a change (files, modules)
 * counts most, text and payload least, and no signal alone passes the threshold. docs/spec/coordination-plans.md shows what they give.
 */
export const defaultComplexityWeights: ComplexityWeights = {
  files: { points: 3, from: 1, full: 40 },
  modules: { points: 2.5, from: 1, full: 8 },
  steps: { points: 2, from: 1, full: 12 },
  textChars: { points: 1, from: 500, full: 8_000 },
  payloadChars: { points: 0.5, from: 1_000, full: 32_000 },
  kinds: { most: 3, of: { refactor: 1.5, migrate: 2, test: 1, fix: 0.5, document: 0.5 } },
  threshold: 8,
};
