import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Job, SplitStrategy } from "#src/contract/plans.ts";
import { estimateComplexity } from "#src/shared/complexity.ts";
import { AggregateRule } from "#src/contract/tasks.ts";
import type { GivenPart } from "#src/contract/plans.ts";
import { split as splitAtMost } from "#src/coordination/plans/decompose.ts";
import { aJob, anyJob, anyFiles } from "#harness/coordinator/jobs.ts";
import { given, refused } from "#harness/coordinator/state-calls.ts";

const split = (job: Job, strategy: SplitStrategy, maxParts = 8) => splitAtMost(job, strategy, maxParts);
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
])("the jobs of the specification score as it says: %s", (score, job) => {
  expect(estimateComplexity(job).score).toBe(score);
});

it("the score is whole, 1 to 10, and 1 and the sum of its reasons where no cap holds it down", () => {
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

it("each signal counts by its logarithm between its bounds", () => {
  expect(ofFiles(1)).toEqual([]);
  expect(ofFiles(2)).toEqual([["files", 2, Number(((3 * Math.log(2)) / Math.log(40)).toFixed(3))]]);
  expect(ofFiles(40)).toEqual([["files", 40, 3]]);
  expect(ofFiles(400)).toEqual([["files", 400, 3]]);
});

it("steps are items of lists and words of sequence", () => {
  expect(steps("- one\n  * two\n3. three\n4) four")).toBe(4);
  expect(steps("first this, then that, and finally the rest")).toBe(2);
  expect(steps("a - b\n-c\n1.5 metres\nstrengthen, thence")).toBeUndefined();
});

it("kinds of work are stated or found by their words, and together add at most so much", () => {
  expect(signals(aJob({ title: "Rename the coordinator" }))).toEqual(["refactor"]);
  const porting = aJob({ title: "Porting it", text: "Fix bugs.\nUpdate the README" });
  expect(signals(porting)).toEqual(["migrate", "fix", "document"]);
  expect(signals(aJob({ title: "A report on the latest contest: prefix, port 80, attestation" }))).toEqual([]);
  expect(signals(aJob({ kinds: ["test"] }))).toEqual(["test"]);
  expect(estimateComplexity(aJob({ kinds: ["refactor", "migrate", "test", "fix", "document"] })).score).toBe(4);
});

it("text and payload count by their length", () => {
  const text = aJob({ text: "x".repeat(8_000), payload: { data: "x".repeat(32_000) } });
  expect(estimateComplexity(text).reasons.map(({ signal, points }) => [signal, points])).toEqual([
    ["textChars", 1],
    ["payloadChars", 0.5],
  ]);
});

it("more of a signal never lowers the score", () => {
  const more = fc.constantFrom<(job: Job) => Job>(
    (job) => ({ ...job, files: [...job.files, { path: `more/${job.files.length}`, weight: 1 }] }),
    (job) => ({ ...job, files: [...job.files, { path: `${job.files[0]?.path ?? "x"}.more`, weight: 1 }] }),
    (job) => ({ ...job, text: `${job.text}\n- one more` }),
    (job) => ({ ...job, text: `${job.text}\ntests` }),
    (job) => ({ ...job, payload: [job.payload, "more"] }),
    (job) => ({ ...job, kinds: [...job.kinds, "migrate"] }),
  );
  fc.assert(
    fc.property(anyJob, fc.array(more, { minLength: 1, maxLength: 8 }), (job, steps) => {
      let [before, now] = [estimateComplexity(job).score, job];
      for (const step of steps) {
        now = step(now);
        const after = estimateComplexity(now).score;
        expect(after).toBeGreaterThanOrEqual(before);
        before = after;
      }
    }),
    { numRuns: 300 },
  );
});

it("above the threshold of 8 a job is worth splitting", () => {
  const usual = aJob({ title: "Refactor the store", text: "With tests.", files: filesIn(3, 12) });
  const large = aJob({ title: "Migrate to the new API", text: "With tests.", files: filesIn(8, 40) });
  expect([usual, large].map((job) => estimateComplexity(job).isAboveThreshold)).toEqual([false, true]);
});

const byFile = SplitStrategy.parse({ by: "file" });
const byModule = SplitStrategy.parse({ by: "module" });
const byPhase = SplitStrategy.parse({ by: "phase" });
const list = (parts: readonly object[]) => SplitStrategy.parse({ by: "list", parts });
const filesOf = (parts: readonly GivenPart[]) => parts.map(({ files }) => files);
const weightsOf = (job: Job, parts: readonly GivenPart[]) =>
  parts.map(({ files }) => job.files.reduce((sum, { path, weight }) => sum + (files.includes(path) ? weight : 0), 0));
const why = (...asked: Parameters<typeof split>) => refused(split(...asked)).message;

const weighted = (weights: Readonly<Record<string, number>>): Job =>
  Job.parse({ title: "Work", files: Object.entries(weights).map(([path, weight]) => ({ path, weight })) });

it("every split that is not refused keeps its promises, for any order of the files", () => {
  const shallow = SplitStrategy.parse({ by: "module", depth: 1 });
  const strategy = fc.constantFrom<SplitStrategy>(byFile, byModule, shallow, byPhase);
  const shuffled = anyJob.chain((job) =>
    fc.tuple(fc.constant(job), fc.shuffledSubarray(job.files, { minLength: job.files.length })),
  );
  fc.assert(
    fc.property(shuffled, strategy, fc.integer({ min: 2, max: 8 }), ([job, files], strategy, maxParts) => {
      const answer = split(job, strategy, maxParts);
      expect(split({ ...job, files }, strategy, maxParts)).toEqual(answer);
      if (!answer.ok) return;
      const parts = answer.value;
      expect(parts.length).toBeGreaterThanOrEqual(2);
      expect(parts.length).toBeLessThanOrEqual(maxParts);
      expect(new Set([...parts.map(({ name }) => name), "join"]).size).toBe(parts.length + 1);
      expect(parts.every(({ text }) => text !== "")).toBe(true);
      const paths = job.files.map(({ path }) => path).toSorted();
      if (strategy.by === "phase") expect(parts.every((part) => part.files.length === paths.length)).toBe(true);
      else {
        expect(parts.flatMap((part) => part.files).toSorted()).toEqual(paths);
        expect(parts.every((part) => part.files.length > 0 && part.dependsOn.length === 0)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

it("what cannot be split is refused with the reason", () => {
  expect(why(aJob(), byFile)).toBe("the job names 0 files; two or more are needed");
  expect(why(aJob({ files: ["a"] }), byFile)).toContain("names 1 file;");
  expect(why(aJob(), byModule)).toContain("the job names no files");
  expect(why(aJob({ files: ["src/a", "src/b"] }), byModule)).toContain("all files of the job are in src;");
  expect(why(aJob({ files: ["a", "b"] }), byModule)).toContain("all files of the job are in .;");
  expect(why(aJob(), byPhase, 3)).toBe("the split has 4 parts; at most 3, besides the join");
});

it("eight parts are the most unless fewer are asked for", () => {
  const job = aJob({ files: Array.from({ length: 30 }, (_, at) => `f${at}`) });
  expect(given(split(job, byFile))).toHaveLength(8);
  expect(given(split(job, byFile, 3))).toHaveLength(3);
});

it("phases follow each other, and each has all files", () => {
  const parts = given(split(aJob({ files: ["b", "a"] }), byPhase));
  expect(parts.map(({ name, dependsOn }) => [name, dependsOn])).toEqual([
    ["analyse", []],
    ["change", ["analyse"]],
    ["test", ["change"]],
    ["document", ["test"]],
  ]);
  expect(parts.map(({ files, text }) => [files, text])[1]).toEqual([["a", "b"], "Phase 2 of 4: change"]);
  const own = SplitStrategy.parse({ by: "phase", phases: ["draft", "review"] });
  expect(given(split(aJob(), own)).map(({ name }) => name)).toEqual(["draft", "review"]);
  expect(why(aJob(), SplitStrategy.parse({ by: "phase", phases: ["a"] }))).toContain("two parts or more");
});

it("files of a folder stay together by module, as deep as asked", () => {
  const job = aJob({ files: ["src/a/x/1", "src/a/2", "src/b/3", "test/4", "5"] });
  expect(filesOf(given(split(job, byModule)))).toEqual([["5"], ["src/a/2"], ["src/a/x/1"], ["src/b/3"], ["test/4"]]);
  const shallow = SplitStrategy.parse({ by: "module", depth: 2 });
  expect(filesOf(given(split(job, shallow)))).toEqual([["5"], ["src/a/2", "src/a/x/1"], ["src/b/3"], ["test/4"]]);
  expect(given(split(job, shallow))[1]).toMatchObject({ name: "part-2", text: "Part 2 of 4: src/a" });
});

it("parts are balanced whenever no file weighs more than two thirds of all", () => {
  fc.assert(
    fc.property(anyFiles, fc.integer({ min: 2, max: 8 }), (files, maxParts) => {
      fc.pre(files.length >= 2);
      const job = Job.parse({ title: "Work", files });
      const weights = weightsOf(job, given(split(job, byFile, maxParts)));
      const all = weights.reduce((sum, weight) => sum + weight, 0);
      const largest = Math.max(...files.map(({ weight }) => weight));
      const isBalanced = Math.max(...weights) <= 2 * Math.min(...weights);
      expect(isBalanced).toBe(3 * largest <= 2 * all);
      if (!isBalanced) expect(weights.toSorted((a, b) => b - a)).toEqual([largest, all - largest]);
    }),
    { numRuns: 1_000 },
  );
});

it("files of one weight are shared out to as many parts as may be", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 2, max: 8 }), (count, maxParts) => {
      const files = Array.from({ length: count }, (_, at) => `f${String(at).padStart(2, "0")}`);
      const parts = given(split(aJob({ files }), byFile, maxParts));
      expect(parts).toHaveLength(Math.min(count, maxParts));
      expect(filesOf(parts).flat().toSorted()).toEqual(files);
      const sizes = parts.map((part) => part.files.length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
  );
});

it("the heaviest are placed first", () => {
  const job = weighted({ a: 9, b: 1, c: 1, d: 9, e: 9, f: 1 });
  expect(weightsOf(job, given(split(job, byFile, 3)))).toEqual([10, 10, 10]);
  expect(filesOf(given(split(weighted({ a: 1, b: 100, c: 2, d: 3 }), byFile)))).toEqual([["a", "c", "d"], ["b"]]);
});

it("a given split that keeps the rules is taken as it is", () => {
  const parts = [
    { name: "schema", text: "Change the tables", files: ["b", "a"] },
    { name: "code", files: ["c"], dependsOn: ["schema"] },
    { name: "review", text: "Read all of it", dependsOn: ["code", "schema", "code"] },
  ];
  expect(given(split(aJob({ files: ["a", "b", "c"] }), list(parts)))).toEqual([
    { name: "schema", text: "Change the tables", files: ["a", "b"], dependsOn: [] },
    { name: "code", text: "", files: ["c"], dependsOn: ["schema"] },
    { name: "review", text: "Read all of it", files: [], dependsOn: ["code", "schema"] },
  ]);
});

const nine = Array.from({ length: 9 }, (_, at) => ({ name: `p${at}`, text: "x" }));

/** A part with files that have names of one letter, or with a text. */
function part(name: string, files: string, ...dependsOn: string[]): object {
  return files === "" ? { name, text: "x", dependsOn } : { name, files: files.split(""), dependsOn };
}

it.each<[string, readonly object[]]>([
  ["a split has two parts or more, this one has 0", []],
  ["a split has two parts or more, this one has 1", [part("x", "ab")]],
  ["the split has 9 parts; at most 8, besides the join", nine],
  ["part y is empty", [part("x", "ab"), { name: "y", text: " \n" }]],
  ["part y has c, which is not a file", [part("x", "ab"), part("y", "c")]],
  ["no part has b", [part("x", "a"), part("y", "")]],
  ["x and y both have a, and neither comes after", [part("x", "ab"), part("y", "a")]],
  ["y and z both have a, and neither comes after", [part("x", "ab"), part("y", "a", "x"), part("z", "a", "x")]],
])("a given split is refused: %s", (message, parts) => {
  expect(why(aJob({ files: ["a", "b"] }), list(parts))).toContain(message);
});

it("parts that follow each other, also over others, may share a file", () => {
  const chain = [part("first", "a", "between"), part("between", "", "last"), part("last", "a")];
  expect(split(aJob({ files: ["a"] }), list(chain)).ok).toBe(true);
  const many = aJob({ files: ["a", "b", "c", "d", "e", "f", "g", "h"] });
  expect(why(many, list(chain))).toBe("no part has b, c, d, e, f and others");
});

const isJob = (fields: object) => Job.safeParse({ title: "Work", ...fields }).success;
const isStrategy = (strategy: object) => SplitStrategy.safeParse(strategy).success;

it("jobs, strategies and rules are checked when they come in", () => {
  const isFile = (path: string) => isJob({ files: [{ path }] });
  for (const path of ["a", "a/b.ts", ".github/x", "a/..b", "a b/ü"]) expect(isFile(path)).toBe(true);
  for (const path of ["", "/a", "a/", "a//b", "./a", "a/../b", "..", "a\nb", "x".repeat(401), "\ud800"]) {
    expect(isFile(path)).toBe(false);
  }
  expect(isJob({ files: [{ path: "a" }, { path: "a", weight: 2 }] })).toBe(false);
  for (const weight of [0, -1, 0.5, 1_000_001]) expect(isJob({ files: [{ path: "a", weight }] })).toBe(false);
  expect(isJob({ text: "x".repeat(20_001) })).toBe(false);
  expect(isJob({ payload: "x".repeat(65_535) })).toBe(false);
  expect(isJob({ title: "a\nb" }) || isJob({ kinds: ["paint"] }) || isJob({ more: 1 })).toBe(false);
  expect(isStrategy({ by: "luck" }) || isStrategy({ by: "module", depth: 0 })).toBe(false);
  expect(isStrategy({ by: "list", parts: [{ name: "a b" }] }) || isStrategy({ by: "phase", phases: [""] })).toBe(false);
  expect(AggregateRule.options).toEqual(["collect", "count"]);
});
