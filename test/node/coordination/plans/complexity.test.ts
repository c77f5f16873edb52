import * as fc from "fast-check";
import { expect, it } from "vitest";
import { ComplexityWeights, defaultComplexityWeights } from "#src/contract/complexity.ts";
import { Job } from "#src/contract/plans.ts";
import { estimateComplexity } from "#src/coordination/plans/complexity.ts";
import { aJob, anyJob } from "#harness/coordinator/jobs.ts";

const filesIn = (folders: number, files: number) =>
  Array.from({ length: files }, (_, at) => `src/m${at % folders}/f${at}.ts`);
const signals = (job: Job) => estimateComplexity(job).reasons.map(({ signal }) => signal);

const ofFiles = (files: number) =>
  estimateComplexity(aJob({ files: filesIn(1, files) })).reasons.map(({ signal, value, points }) => [
    signal,
    value,
    Number(points.toFixed(3)),
  ]);
const steps = (text: string) =>
  estimateComplexity(aJob({ text })).reasons.find(({ signal }) => signal === "steps")?.value;

it.each<[number, Job]>([
  [1, aJob({ title: "Correct a typing error", files: ["a.ts"] })],
  [2, aJob({ title: "Fix the bug", files: filesIn(1, 3) })],
  [7, aJob({ title: "Refactor the store", text: "With tests.", files: filesIn(3, 12) })],
  [10, aJob({ title: "Migrate to the new API", text: "With tests.", files: filesIn(8, 40) })],
])("[PL1] the jobs of the specification score as it says: %s", (score, job) => {
  expect(estimateComplexity(job).score).toBe(score);
});

it("[PL1] the score is whole, 1 to 10, and 1 and the sum of its reasons where no cap holds it down", () => {
  fc.assert(
    fc.property(anyJob, (job) => {
      const { score, reasons } = estimateComplexity(job);
      expect(Number.isInteger(score) && score >= 1 && score <= 10).toBe(true);
      const points = reasons.map((reason) => reason.points);
      expect(points).toEqual(points.toSorted((a, b) => b - a));
      expect(points.every((one) => one > 0)).toBe(true);
      expect(score).toBeLessThanOrEqual(Math.round(1 + points.reduce((sum, one) => sum + one, 0) + 1e-6));
    }),
  );
});

it("[PL1] each signal counts by its logarithm between its bounds", () => {
  expect(ofFiles(1)).toEqual([]);
  expect(ofFiles(2)).toEqual([["files", 2, Number(((3 * Math.log(2)) / Math.log(40)).toFixed(3))]]);
  expect(ofFiles(40)).toEqual([["files", 40, 3]]);
  expect(ofFiles(400)).toEqual([["files", 400, 3]]);
});

it("[PL1] steps are items of lists and words of sequence", () => {
  expect(steps("- one\n  * two\n3. three\n4) four")).toBe(4);
  expect(steps("first this, then that, and finally the rest")).toBe(2);
  expect(steps("a - b\n-c\n1.5 metres\nstrengthen, thence")).toBeUndefined();
});

it("[PL1] kinds of work are stated or found by their words, and together add at most so much", () => {
  expect(signals(aJob({ title: "Rename the coordinator" }))).toEqual(["refactor"]);
  const porting = aJob({ title: "Porting it", text: "Fix bugs.\nUpdate the README" });
  expect(signals(porting)).toEqual(["migrate", "fix", "document"]);
  expect(signals(aJob({ title: "A report on the latest contest: prefix, port 80, attestation" }))).toEqual([]);
  expect(signals(aJob({ kinds: ["test"] }))).toEqual(["test"]);
  const all = estimateComplexity(aJob({ kinds: ["refactor", "migrate", "test", "fix", "document"] }));
  expect(all.score).toBe(4);
});

it("[PL1] text and payload count by their length", () => {
  const text = aJob({ text: "x".repeat(8_000), payload: { data: "x".repeat(32_000) } });
  expect(estimateComplexity(text).reasons.map(({ signal, points }) => [signal, points])).toEqual([
    ["textChars", 1],
    ["payloadChars", 0.5],
  ]);
});

it("[PL2] more of a signal never lowers the score", () => {
  const more = fc.constantFrom<(job: Job) => Job>(
    (job) => ({ ...job, files: [...job.files, { path: `more/${job.files.length}`, weight: 1 }] }),
    (job) => ({ ...job, files: [...job.files, { path: `${job.files[0]?.path ?? "x"}.more`, weight: 1 }] }),
    (job) => ({ ...job, text: `${job.text}\n- one more` }),
    (job) => ({ ...job, text: `${job.text}\ntests` }),
    (job) => ({ ...job, payload: [job.payload, "more"] }),
    (job) => ({ ...job, kinds: [...job.kinds, "migrate"] }),
  );
  const scale = fc
    .record({ points: fc.double({ min: 0, max: 9, noNaN: true }), from: fc.integer({ min: 1, max: 50 }) })
    .map(({ points, from }) => ({ points, from, full: from + 20 }));
  const weights = fc.record({ files: scale, modules: scale, steps: scale, textChars: scale, payloadChars: scale });
  fc.assert(
    fc.property(anyJob, fc.array(more, { minLength: 1, maxLength: 8 }), weights, (job, steps, drawn) => {
      const all = ComplexityWeights.parse({ ...defaultComplexityWeights, ...drawn });
      let [before, now] = [estimateComplexity(job, all).score, job];
      for (const step of steps) {
        now = step(now);
        const after = estimateComplexity(now, all).score;
        expect(after).toBeGreaterThanOrEqual(before);
        before = after;
      }
    }),
    { numRuns: 300 },
  );
});

it("[PL3] above the threshold a job is worth splitting, at it it is not", () => {
  const job = aJob({ title: "Refactor the store", text: "With tests.", files: filesIn(3, 12) });
  const isAbove = (threshold: number) =>
    estimateComplexity(job, { ...defaultComplexityWeights, threshold }).isAboveThreshold;
  expect([isAbove(6.5), isAbove(7), isAbove(8)]).toEqual([true, false, false]);
  expect(defaultComplexityWeights.threshold).toBe(8);
});

it("[PL3] weights that would lower a score are refused", () => {
  const { files } = defaultComplexityWeights;
  expect(ComplexityWeights.safeParse(defaultComplexityWeights).success).toBe(true);
  for (const scale of [{ points: -1 }, { from: 0 }, { full: 1 }, { from: 40 }, { points: Number.NaN }]) {
    const weights = { ...defaultComplexityWeights, files: { ...files, ...scale } };
    expect(ComplexityWeights.safeParse(weights).success).toBe(false);
  }
});
