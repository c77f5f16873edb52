import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Job, SplitStrategy } from "#src/contract/plans.ts";
import { AggregateRule } from "#src/contract/tasks.ts";
import { split, type Plan } from "#src/coordination/plans/decompose.ts";
import { aJob, anyFiles, anyJob } from "#harness/coordinator/jobs.ts";
import { given, refused } from "#harness/coordinator/state-calls.ts";

const byFile = SplitStrategy.parse({ by: "file" });
const byModule = SplitStrategy.parse({ by: "module" });
const byPhase = SplitStrategy.parse({ by: "phase" });
const list = (parts: readonly object[]) => SplitStrategy.parse({ by: "list", parts });
const filesOf = (plan: Plan) => plan.parts.map(({ files }) => files);
const why = (...asked: Parameters<typeof split>) => refused(split(...asked)).message;

const weighted = (weights: Readonly<Record<string, number>>): Job =>
  Job.parse({ title: "Work", files: Object.entries(weights).map(([path, weight]) => ({ path, weight })) });

it("[PL4] every split that is not refused keeps its promises, for any order of the files", () => {
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
      const { parts, join } = answer.value;
      expect(parts.length).toBeGreaterThanOrEqual(2);
      expect(parts.length).toBeLessThanOrEqual(maxParts);
      expect(join).toEqual({ name: "join", dependsOn: parts.map(({ name }) => name) });
      expect(new Set([...join.dependsOn, "join"]).size).toBe(parts.length + 1);
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

it("[PL34] what cannot be split is refused with the reason", () => {
  expect(why(aJob(), byFile)).toBe("the job names no files; two or more are needed to split it by file");
  expect(why(aJob({ files: ["a"] }), byFile)).toContain("names 1 file;");
  expect(why(aJob(), byModule)).toContain("the job names no files");
  expect(why(aJob({ files: ["src/a", "src/b"] }), byModule)).toContain("all files of the job are in src;");
  expect(why(aJob({ files: ["a", "b"] }), byModule)).toContain("all files of the job are in .;");
  expect(why(aJob(), byPhase, 3)).toBe("the split has 4 parts; at most 3, besides the join");
  for (const maxParts of [1, 9, 2.5, Number.NaN]) expect(why(aJob(), byPhase, maxParts)).toContain("2 to 8 parts");
});

it("[PL4] eight parts are the most unless fewer are asked for", () => {
  const job = aJob({ files: Array.from({ length: 30 }, (_, at) => `f${at}`) });
  expect(given(split(job, byFile)).parts).toHaveLength(8);
  expect(given(split(job, byFile, 3)).parts).toHaveLength(3);
});

it("[PL5] phases follow each other, and each has all files", () => {
  const { parts } = given(split(aJob({ files: ["b", "a"] }), byPhase));
  expect(parts.map(({ name, dependsOn }) => [name, dependsOn])).toEqual([
    ["analyse", []],
    ["change", ["analyse"]],
    ["test", ["change"]],
    ["document", ["test"]],
  ]);
  expect(parts.map(({ files, text }) => [files, text])[1]).toEqual([["a", "b"], "Phase 2 of 4: change"]);
  const own = SplitStrategy.parse({ by: "phase", phases: ["draft", "review"] });
  expect(given(split(aJob(), own)).parts.map(({ name }) => name)).toEqual(["draft", "review"]);
  expect(why(aJob(), SplitStrategy.parse({ by: "phase", phases: ["a", "b", "a"] }))).toBe("two parts have the name a");
  expect(why(aJob(), SplitStrategy.parse({ by: "phase", phases: ["a"] }))).toContain("two parts or more");
});

it("[PL5] files of a folder stay together by module, as deep as asked", () => {
  const job = aJob({ files: ["src/a/x/1", "src/a/2", "src/b/3", "test/4", "5"] });
  expect(filesOf(given(split(job, byModule)))).toEqual([["5"], ["src/a/2"], ["src/a/x/1"], ["src/b/3"], ["test/4"]]);
  const shallow = SplitStrategy.parse({ by: "module", depth: 2 });
  expect(filesOf(given(split(job, shallow)))).toEqual([["5"], ["src/a/2", "src/a/x/1"], ["src/b/3"], ["test/4"]]);
  expect(given(split(job, shallow)).parts[1]).toMatchObject({ name: "part-2", text: "Part 2 of 4: src/a", weight: 2 });
});

it("[PL6] [PL22] parts are balanced whenever no file weighs more than two thirds of all", () => {
  fc.assert(
    fc.property(anyFiles, fc.integer({ min: 2, max: 8 }), (files, maxParts) => {
      fc.pre(files.length >= 2);
      const { parts } = given(split(Job.parse({ title: "Work", files }), byFile, maxParts));
      const weights = parts.map(({ weight }) => weight);
      const all = weights.reduce((sum, weight) => sum + weight, 0);
      const largest = Math.max(...files.map(({ weight }) => weight));
      const isBalanced = Math.max(...weights) <= 2 * Math.min(...weights);
      expect(isBalanced).toBe(3 * largest <= 2 * all);
      if (!isBalanced) expect(weights.toSorted((a, b) => b - a)).toEqual([largest, all - largest]);
    }),
    { numRuns: 1_000 },
  );
});

it("[PL23] files of one weight are shared out to as many parts as may be, neighbours together", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 2, max: 8 }), (count, maxParts) => {
      const files = Array.from({ length: count }, (_, at) => `f${String(at).padStart(2, "0")}`);
      const plan = given(split(aJob({ files }), byFile, maxParts));
      expect(plan.parts).toHaveLength(Math.min(count, maxParts));
      expect(filesOf(plan).flat()).toEqual(files);
      const sizes = plan.parts.map((part) => part.files.length);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }),
  );
});

it("[PL6] [PL22] where neighbours would not be balanced, the heaviest are placed first", () => {
  const plan = given(split(weighted({ a: 9, b: 1, c: 1, d: 9, e: 9, f: 1 }), byFile, 3));
  expect(plan.parts.map(({ weight }) => weight)).toEqual([10, 10, 10]);
  const heavy = given(split(weighted({ a: 1, b: 100, c: 2, d: 3 }), byFile));
  expect(heavy.parts.map(({ files, weight }) => [files, weight])).toEqual([
    [["a", "c", "d"], 6],
    [["b"], 100],
  ]);
});

it("[PL7] a given split that keeps the rules is taken as it is", () => {
  const parts = [
    { name: "schema", text: "Change the tables", files: ["b", "a"] },
    { name: "code", files: ["c"], dependsOn: ["schema"] },
    { name: "review", text: "Read all of it", dependsOn: ["code", "schema", "code"] },
  ];
  expect(given(split(aJob({ files: ["a", "b", "c"] }), list(parts)))).toEqual({
    parts: [
      { name: "schema", text: "Change the tables", files: ["a", "b"], dependsOn: [], weight: 2 },
      { name: "code", text: "", files: ["c"], dependsOn: ["schema"], weight: 1 },
      { name: "review", text: "Read all of it", files: [], dependsOn: ["code", "schema"], weight: 0 },
    ],
    join: { name: "join", dependsOn: ["schema", "code", "review"] },
  });
});

const nine = Array.from({ length: 9 }, (_, at) => ({ name: `p${at}`, text: "x" }));

/** A part with files that have names of one letter, or with a text. */
function part(name: string, files: string, ...dependsOn: string[]): object {
  return files === "" ? { name, text: "x", dependsOn } : { name, files: [...files], dependsOn };
}

it.each<[string, readonly object[]]>([
  ["a split has two parts or more, this one has 0", []],
  ["a split has two parts or more, this one has 1", [part("x", "ab")]],
  ["the split has 9 parts; at most 8, besides the join", nine],
  ["two parts have the name x", [part("x", "a"), part("x", "b")]],
  ["no part has the name join", [part("join", "a"), part("x", "b")]],
  ["part y is empty", [part("x", "ab"), { name: "y", text: " \n" }]],
  ["part y depends on z, which is not a part", [part("x", "ab"), part("y", "", "z")]],
  ["part y has c, which is not a file", [part("x", "ab"), part("y", "c")]],
  ["no part has b", [part("x", "a"), part("y", "")]],
  ["wait for each other: x", [part("x", "a", "x"), part("y", "b")]],
  ["wait for each other: x, y", [part("x", "a", "y"), part("y", "b", "x"), part("z", "", "x")]],
  ["x and y both have a, and neither comes after", [part("x", "ab"), part("y", "a")]],
  ["y and z both have a, and neither comes after", [part("x", "ab"), part("y", "a", "x"), part("z", "a", "x")]],
])("[PL7] a given split is refused: %s", (message, parts) => {
  expect(why(aJob({ files: ["a", "b"] }), list(parts))).toContain(message);
});

it("[PL7] parts that follow each other, also over others, may share a file", () => {
  const chain = [part("first", "a", "between"), part("between", "", "last"), part("last", "a")];
  expect(split(aJob({ files: ["a"] }), list(chain)).ok).toBe(true);
  const many = aJob({ files: ["a", "b", "c", "d", "e", "f", "g", "h"] });
  expect(why(many, list(chain))).toBe("no part has b, c, d, e, f and 2 more");
});

const isJob = (fields: object) => Job.safeParse({ title: "Work", ...fields }).success;
const isStrategy = (strategy: object) => SplitStrategy.safeParse(strategy).success;

it("[PL17] jobs, strategies and rules are checked when they come in", () => {
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
  expect(AggregateRule.options).toEqual(["collect", "merge", "count"]);
});
