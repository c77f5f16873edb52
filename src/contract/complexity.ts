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

/**
 * Weights are a judgement, not measured (docs/spec/coordination-plans.md): the reach of a change
 * (files, modules) counts most, and no signal alone passes the threshold.
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
