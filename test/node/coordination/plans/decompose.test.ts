import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Job, SplitStrategy, type GivenPart } from "#src/contract/plans.ts";
import { estimateComplexity } from "#src/shared/complexity.ts";
import { split as splitAtMost } from "#src/coordination/plans/plans.ts";
import { given, refused } from "#harness/coordinator/peers.ts";

function aJob(fields: Partial<Omit<Job, "files">> & { readonly files?: readonly string[] } = {}): Job {
  const { files = [], ...rest } = fields;
  return Job.parse({ title: "Work", ...rest, files: files.map((path) => ({ path })) });
}

const anyName = fc.constantFrom("a", "b", "c", "src", "ü");
const anyPath = fc.array(anyName, { minLength: 1, maxLength: 4 }).map((names) => names.join("/"));
const anyWeight = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1_000_000 }));

const anyFile = fc.record({ path: anyPath, weight: anyWeight });
const anyFiles = fc.uniqueArray(anyFile, { selector: ({ path }) => path, maxLength: 40 });

const split = (job: Job, strategy: SplitStrategy, maxParts = 8) => splitAtMost(job, strategy, maxParts);
it("the score is 1 and the sum of its reasons, the largest first, and 10 at most", () => {
  const files = Array.from({ length: 40 }, (_, at) => `m${at % 8}/${at}`);
  const { score, reasons } = estimateComplexity(aJob({ kinds: ["migrate", "fix", "fix"], files }));
  const told = reasons.map(({ signal, points }) => `${signal} ${points}`);
  expect(told).toEqual(["files 3", "modules 2.5", "migrate 2", "fix 0.5"]);
  expect(score).toBe(9);
  const kinds: Job["kinds"] = ["refactor", "migrate", "test", "document"];
  const text = "- do it\n".repeat(1_000);
  // All kinds together count as three points.
  const scores = [aJob(), aJob({ kinds }), aJob({ files, kinds, text })].map((job) => estimateComplexity(job).score);
  expect(scores).toEqual([1, 4, 10]);
});

const byFile = SplitStrategy.parse({ by: "file" });
const byModule = SplitStrategy.parse({ by: "module" });
const byPhase = SplitStrategy.parse({ by: "phase" });
const list = (parts: readonly object[]) => SplitStrategy.parse({ by: "list", parts });
const filesOf = (parts: readonly GivenPart[]) => parts.map(({ files }) => files);
const weightsOf = (job: Job, parts: readonly GivenPart[]) =>
  parts.map(({ files }) => job.files.reduce((sum, { path, weight }) => sum + (files.includes(path) ? weight : 0), 0));
const why = (...asked: Parameters<typeof split>) => refused(split(...asked)).message;

it("what cannot be split is refused with the reason", () => {
  expect(why(aJob(), byFile)).toBe("the job names 0 files; two or more are needed");
  expect(why(aJob(), byModule)).toContain("the job names no files");
  expect(why(aJob({ files: ["src/a", "src/b"] }), byModule)).toContain("all files of the job are in src;");
  expect(why(aJob(), byPhase, 3)).toBe("the split has 4 parts; at most 3, besides the join");
});

it("phases follow each other, and each has all files", () => {
  const parts = given(split(aJob({ files: ["b", "a"] }), byPhase));
  const order = parts.map(({ name, dependsOn }) => [name, ...dependsOn].join(" after "));
  expect(order).toEqual(["analyse", "change after analyse", "test after change", "document after test"]);
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
  for (const path of ["", "/a", "a/", "a//b", "./a", "a/../b", "..", "a\nb", "x".repeat(401), "\ud800"])
    expect(isFile(path)).toBe(false);
  expect(isJob({ files: [{ path: "a" }, { path: "a", weight: 2 }] })).toBe(false);
  for (const weight of [0, -1, 0.5, 1_000_001]) expect(isJob({ files: [{ path: "a", weight }] })).toBe(false);
  expect(isJob({ text: "x".repeat(20_001) })).toBe(false);
  expect(isJob({ payload: "x".repeat(65_535) })).toBe(false);
  expect(isJob({ title: "a\nb" }) || isJob({ kinds: ["paint"] }) || isJob({ more: 1 })).toBe(false);
  expect(isStrategy({ by: "luck" }) || isStrategy({ by: "module", depth: 0 })).toBe(false);
  expect(isStrategy({ by: "list", parts: [{ name: "a b" }] }) || isStrategy({ by: "phase", phases: [""] })).toBe(false);
});
