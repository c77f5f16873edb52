import type { Job, WorkKind } from "../contract/plans.ts";

interface Scale {
  readonly points: number;
  /** Value up to which a signal does not count, and from which it counts in full. */
  readonly from: number;
  readonly full: number;
}

const sizeSignals = ["files", "modules", "steps", "textChars", "payloadChars"] as const;

/**
 * Weights are a judgement, not measured: the reach of a change
 * (files, modules) counts most, and no signal alone passes the threshold.
 */
const scales: Record<(typeof sizeSignals)[number], Scale> = {
  files: { points: 3, from: 1, full: 40 },
  modules: { points: 2.5, from: 1, full: 8 },
  steps: { points: 2, from: 1, full: 12 },
  textChars: { points: 1, from: 500, full: 8_000 },
  payloadChars: { points: 0.5, from: 1_000, full: 32_000 },
};
const maxKindPoints = 3;

/** The job states its kinds: words of its text would be those of one language. */
const kindPoints: Record<WorkKind, number> = { refactor: 1.5, migrate: 2, test: 1, fix: 0.5, document: 0.5 };

/** A job above it is worth splitting. */
export const complexityThreshold = 8;

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
 * 1 plus all points, rounded, at most 10. Monotonic in files, text, kinds and payload.
 * Logarithmic, since the sizes of changes are: 1 to 2 files counts like 20 to 40.
 */
export function estimateComplexity(job: Job): Complexity {
  const [ofSize, ofKinds] = [reasonsOfSize(job), reasonsOfKinds(job)];
  const points = sumPoints(ofSize) + Math.min(sumPoints(ofKinds), maxKindPoints);
  // The last bits of the sum could otherwise give a larger job a smaller score.
  const score = Math.min(10, Math.round(1 + Math.round(points * 1e6) / 1e6));
  const reasons = [...ofSize, ...ofKinds].filter((reason) => reason.points > 0).toSorted((a, b) => b.points - a.points);
  return { score, isAboveThreshold: score > complexityThreshold, reasons };
}

function sumPoints(reasons: readonly ComplexityReason[]): number {
  return reasons.reduce((sum, { points }) => sum + points, 0);
}

function reasonsOfSize(job: Job): ComplexityReason[] {
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
    points: pointsOf(values[signal], scales[signal]),
  }));
}

function pointsOf(value: number, { points, from, full }: Scale): number {
  if (value <= from) return 0;
  return points * Math.min(1, Math.log(value / from) / Math.log(full / from));
}

function reasonsOfKinds({ kinds }: Job): ComplexityReason[] {
  return [...new Set(kinds)].map((kind) => ({ signal: kind, value: 1, points: kindPoints[kind] }));
}

/** List items. Repeats are bounded: the text is untrusted. */
function countSteps(text: string): number {
  return text.match(/^[ \t]{0,20}(?:[-*+]|\d{1,3}[.)])[ \t]/gm)?.length ?? 0;
}

export function folderOf(path: string, depth = Number.POSITIVE_INFINITY): string {
  const names = path.split("/").slice(0, -1).slice(0, depth);
  return names.join("/") || ".";
}
