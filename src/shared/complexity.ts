import { defaultComplexityWeights } from "../contract/complexity-weights.ts";
import type { ComplexityWeights, Scale } from "../contract/complexity.ts";
import type { Job, WorkKind } from "../contract/plans.ts";
import { folderOf } from "./folders.ts";

const sizeSignals = ["files", "modules", "steps", "textChars", "payloadChars"] as const;

export interface ComplexityReason {
  readonly signal: (typeof sizeSignals)[number] | WorkKind;
  readonly value: number;
  readonly points: number;
}

export interface Complexity {
  readonly score: number;
  readonly isAboveThreshold: boolean;
  readonly reasons: readonly ComplexityReason[];
}

/**
 * [PL1] 1 plus all points, rounded, at most 10. [PL2] Monotonic in files, text, kinds and payload.
 * Logarithmic, since the sizes of changes are: 1 to 2 files counts like 20 to 40.
 */
export function estimateComplexity(job: Job, weights: ComplexityWeights = defaultComplexityWeights): Complexity {
  const [ofSize, ofKinds] = [reasonsOfSize(job, weights), reasonsOfKinds(job, weights)];
  const points = sumPoints(ofSize) + Math.min(sumPoints(ofKinds), weights.kinds.most);
  // The last bits of the sum could otherwise give a larger job a smaller score.
  const score = Math.min(10, Math.round(1 + Math.round(points * 1e6) / 1e6));
  const reasons = [...ofSize, ...ofKinds].filter((reason) => reason.points > 0).toSorted((a, b) => b.points - a.points);
  return { score, isAboveThreshold: score > weights.threshold, reasons };
}

function sumPoints(reasons: readonly ComplexityReason[]): number {
  return reasons.reduce((sum, { points }) => sum + points, 0);
}

function reasonsOfSize(job: Job, weights: ComplexityWeights): ComplexityReason[] {
  const values: Record<(typeof sizeSignals)[number], number> = {
    files: job.files.length,
    modules: new Set(job.files.map(({ path }) => folderOf(path))).size,
    steps: countSteps(job.text),
    textChars: job.text.length,
    payloadChars: job.payload === null ? 0 : JSON.stringify(job.payload).length,
  };
  return sizeSignals.map((signal) => ({
    signal,
    value: values[signal],
    points: pointsOf(values[signal], weights[signal]),
  }));
}

function pointsOf(value: number, { points, from, full }: Scale): number {
  if (value <= from) return 0;
  return points * Math.min(1, Math.log(value / from) / Math.log(full / from));
}

function reasonsOfKinds({ title, text, kinds }: Job, weights: ComplexityWeights): ComplexityReason[] {
  const fullText = `${title}\n${text}`;
  return (Object.keys(kindPatterns) as WorkKind[])
    .filter((kind) => kinds.includes(kind) || kindPatterns[kind].test(fullText))
    .map((kind) => ({ signal: kind, value: 1, points: weights.kinds.of[kind] }));
}

/** English only; a job in another language states its kinds. */
const kindPatterns: Record<WorkKind, RegExp> = {
  refactor: /\b(refactor|restructur|renam|rewrit)\w*/i,
  migrate: /\b(migrat|upgrad)\w*|\bport(ed|ing)\b/i,
  test: /\b(tests?|tested|testing|coverage)\b/i,
  fix: /\b(fix(es|ed|ing)?|bugs?|repair\w*)\b/i,
  document: /\b(document(s|ed|ing|ation)?|docs|readme)\b/i,
};

/** List items and sequence words. Repeats are bounded: the text is untrusted. */
function countSteps(text: string): number {
  const items = text.match(/^[ \t]{0,20}(?:[-*+]|\d{1,3}[.)])[ \t]/gm) ?? [];
  const turns = text.match(/\b(?:then|afterwards|finally|after that)\b/gi) ?? [];
  return items.length + turns.length;
}
