import type { ComplexityWeights } from "./complexity.ts";

// Types only: the hook process loads this file, and must not load the schemas of operations.

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
