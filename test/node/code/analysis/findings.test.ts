import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Validator } from "@cfworker/json-schema";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { parseWith, recorded, sampleFiles } from "#harness/analysis/recorded.ts";
import { adapters } from "#src/code/analysis/adapters/adapters.ts";
import {
  compareWithBaseline,
  mergeFindings,
  toBaseline,
  withFingerprints,
  type Finding,
  type RawFinding,
} from "#src/code/analysis/finding.ts";
import { toMarkdown, toSarif, toText } from "#src/code/analysis/formats.ts";
import { countTotals, findHotspots, Report, type ToolRun } from "#src/code/analysis/report.ts";

const outputs = {
  tsc: "tsc",
  eslint: "eslint",

  oxlint: "oxlint",
  biome: "biome",
  complexity: "complexity-oxlint",
};
const recordings = { ...outputs, knip: "knip", fallow: "fallow", jscpd: "jscpd" };

const sampleResults = adapters.map(({ name: tool }) => {
  const { findings } = parseWith(tool, { stdout: recorded(recordings[tool]) });
  return { tool, version: "1.0.0", findings };
});

function aFinding(changes: Partial<RawFinding> = {}): RawFinding {
  return { rule: "r", level: "warning", file: "a.ts", range: { line: 1, column: 1 }, message: "m", ...changes };
}

function merged(...results: [tool: string, ...findings: Partial<RawFinding>[]][]): string[] {
  const given = results.map(([tool, ...findings]) => ({ tool, version: null, findings: findings.map(aFinding) }));
  return mergeFindings(given).map(({ tool, rule, level, others = [] }) =>
    [level, `${tool} ${rule}`, ...others.map((other) => `${other.tool} ${other.rule}`)].join(", "),
  );
}

it("the tools' findings in a real project are joined, and none is lost", () => {
  const findings = mergeFindings(sampleResults);
  const rules = findings.map(({ tool, rule, others = [] }) =>
    [`${tool} ${rule}`, ...others.map((other) => `${other.tool} ${other.rule}`)].join(", "),
  );
  expect(rules).toEqual(
    expect.arrayContaining([
      "tsc TS6133, oxlint eslint(no-unused-vars), biome lint/correctness/noUnusedVariables",
      "tsc TS2552, oxlint eslint(no-undef)",
      "tsc TS2307, knip unresolved, fallow unresolved-import",
      "eslint no-debugger, oxlint eslint(no-debugger), biome lint/suspicious/noDebugger",
      "knip exports, fallow unused-export",
      "knip files, fallow unused-file",
      "knip dependencies, fallow unused-dependency",
      "fallow code-duplication, jscpd duplicate",
    ]),
  );
  const reported = sampleResults.reduce((sum, one) => sum + one.findings.length, 0);
  expect(rules.flatMap((one) => one.split(", "))).toHaveLength(reported);
});

function at(line: number, column: number, endColumn?: number): Pick<RawFinding, "range"> {
  return { range: { line, column, ...(endColumn === undefined ? {} : { endLine: line, endColumn }) } };
}

it("equal rules at another position, in another file or of another symbol stay apart", () => {
  expect(
    merged(["tsc", { rule: "TS2304", ...at(1, 5) }], ["eslint", { rule: "no-undef", ...at(1, 9, 12) }]),
  ).toHaveLength(2);
  expect(merged(["tsc", { rule: "TS2304", ...at(1, 9) }], ["eslint", { rule: "no-undef", ...at(1, 9, 12) }])).toEqual([
    "warning, tsc TS2304, eslint no-undef",
  ]);
  expect(merged(["tsc", { rule: "TS2304" }], ["eslint", { rule: "no-undef", file: "b.ts" }])).toHaveLength(2);
  expect(
    merged(["knip", { rule: "exports", symbol: "a" }], ["fallow", { rule: "unused-export", symbol: "b" }]),
  ).toHaveLength(2);
  expect(merged(["tsc", { rule: "TS2304" }], ["eslint", { rule: "no-unused-vars" }])).toHaveLength(2);
});

it("findings of one tool are never joined, and the highest level counts", () => {
  expect(merged(["eslint", {}, {}])).toHaveLength(2);
  expect(
    merged(
      ["eslint", { rule: "no-x", level: "note" }],
      ["oxlint", { rule: "eslint(no-x)", level: "error" }, { rule: "eslint(no-x)" }],
    ),
  ).toEqual(["error, eslint no-x, oxlint eslint(no-x)", "warning, oxlint eslint(no-x)"]);
});

function fingerprinted(files: Record<string, string>, findings: readonly RawFinding[], tool = "eslint"): Finding[] {
  return withFingerprints(mergeFindings([{ tool, version: null, findings }]), (file) => files[file] ?? null);
}

/** A finding on each line that has the word. */
function findWord(files: Record<string, string>): Finding[] {
  const findings = Object.entries(files).flatMap(([file, text]) =>
    text.split("\n").flatMap((line, at) => (line.includes("bad") ? [aFinding({ file, range: { line: at + 1 } })] : [])),
  );
  return fingerprinted(files, findings);
}

it("lines above and other indentation change no fingerprint; equal lines are numbered", () => {
  const before = findWord({ "a.ts": "bad()\nok\n  bad(1)\nbad()" });
  const after = findWord({ "a.ts": "// new\n\n  bad()\nok\n\n bad(1)\nbad()" });
  expect(after.map(({ fingerprint }) => fingerprint)).toEqual(before.map(({ fingerprint }) => fingerprint));
  expect(new Set(before.map(({ fingerprint }) => fingerprint)).size).toBe(3);
});

it("harmless lines anywhere make nothing new, a bad line makes one", () => {
  const line = fc.constantFrom("bad()", "bad(1)", "ok", "");
  const harmless = fc.array(fc.constantFrom("ok", "", "  // more"), { maxLength: 3 });
  fc.assert(
    fc.property(fc.array(fc.tuple(harmless, line), { maxLength: 20 }), fc.nat(20), (parts, at) => {
      const before = toBaseline(findWord({ "a.ts": parts.map(([, one]) => one).join("\n") }));
      const padded = parts.flatMap(([added, one]) => [...added, one]);
      const same = compareWithBaseline(findWord({ "a.ts": padded.join("\n") }), before, () => true);
      expect(same.filter(({ isNew }) => isNew)).toEqual([]);
      const worse = padded.toSpliced(at, 0, "bad()");
      const found = compareWithBaseline(findWord({ "a.ts": worse.join("\n") }), before, () => true);
      expect(found.filter(({ isNew }) => isNew)).toHaveLength(1);
    }),
    { numRuns: 200 },
  );
});

it("a renamed file brings nothing new, a copied one does; each entry stands for one finding", () => {
  const text = "bad()\nbad()";
  const baseline = toBaseline(findWord({ "old.ts": text }));
  const news = (files: Record<string, string>): number =>
    compareWithBaseline(findWord(files), baseline, (file) => file in files).filter(({ isNew }) => isNew).length;
  expect(news({ "new.ts": text })).toBe(0);
  expect(news({ "old.ts": text, "copy.ts": text })).toBe(2);
  expect(news({ "new.ts": `${text}\nbad()` })).toBe(1);
});

function wholeFile(file: string): RawFinding[] {
  return [aFinding({ file, range: null, rule: "files" })];
}

it("a whole file is found again under another name by its text", () => {
  const baseline = toBaseline(fingerprinted({ "old.ts": "text" }, wholeFile("old.ts"), "knip"));
  const isNew = (files: Record<string, string>): boolean | undefined =>
    compareWithBaseline(fingerprinted(files, wholeFile("new.ts"), "knip"), baseline, (path) => path in files)[0]?.isNew;
  expect(isNew({ "new.ts": "text" })).toBe(false);
  expect(isNew({ "new.ts": "other" })).toBe(true);
});

it("hotspots: complexity times commits", () => {
  const commits = new Map([
    ["src/a.ts", 2],
    ["b c.ts", 1],
    ["logo.png", 9],
  ]);
  const complexities = [
    { file: "src/a.ts", complexity: 5 },
    { file: "b c.ts", complexity: 12 },
    { file: "never-changed.ts", complexity: 90 },
  ];
  expect(findHotspots(complexities, commits)).toEqual([
    { file: "b c.ts", complexity: 12, commits: 1, score: 12 },
    { file: "src/a.ts", complexity: 5, commits: 2, score: 10 },
  ]);
});

function aRun(changes: Partial<ToolRun> = {}): ToolRun {
  return {
    name: "tsc",
    kinds: ["types"],
    status: "ran",
    version: "7.0.2",
    why: null,
    findings: 1,
    ms: 900,
    ...changes,
  };
}

function aReport(changes: Partial<Report> = {}): Report {
  const findings = withFingerprints(mergeFindings(sampleResults), (file) => sampleFiles[file] ?? null);
  const tools = adapters.map(({ name, kinds }) => aRun({ name, kinds: [...kinds] }));
  return Report.parse({
    version: 1,
    folder: "/project",
    tools,
    findings,
    totals: countTotals(findings, false),
    comparedWith: null,
    hotspots: [{ file: "src/a.ts", complexity: 5, commits: 2, score: 10 }],
    notes: [],
    ...changes,
  });
}

/** The official schema: its origin and terms stand in harness/analysis/README.md. */
const schemaFile = join(import.meta.dirname, "..", "..", "..", "harness", "analysis", "sarif-schema-2.1.0.json");
const sarifSchema = new Validator(JSON.parse(readFileSync(schemaFile, "utf8")) as object, "4", false);

function sarifErrors(report: Report): unknown[] {
  const { errors } = sarifSchema.validate(JSON.parse(JSON.stringify(toSarif(report))));
  return errors.slice(-3);
}

it("SARIF is valid by the official schema, with fingerprints, joins and what is new", () => {
  const report = aReport();
  expect(sarifErrors(report)).toEqual([]);
  const { runs } = toSarif(report) as { runs: { results: Record<string, unknown>[] }[] };
  const results = runs.flatMap((run) => run.results);
  expect(results).toHaveLength(report.findings.length);
  const prints = results.map(({ partialFingerprints }) => Object.values(partialFingerprints as object)[0] as string);
  expect(prints.toSorted()).toEqual(report.findings.map(({ fingerprint }) => fingerprint).toSorted());
  const baseline = toBaseline(report.findings.slice(1));
  const compared = aReport({
    findings: compareWithBaseline(report.findings, baseline, () => true),
    comparedWith: { kind: "commit", name: "main" },
  });
  expect(sarifErrors(compared)).toEqual([]);
  expect(JSON.stringify(toSarif(compared)).match(/"baselineState":"new"/g)).toHaveLength(1);
});

it("the schema refuses what is no SARIF", () => {
  expect(sarifSchema.validate({ version: "2.1.0", runs: [{ results: [{}] }] }).valid).toBe(false);
});

it("a failed tool is a run that was not successful, and odd names of files are valid", () => {
  const failed = aRun({ name: "eslint", status: "failed", why: "took longer than 5 s", version: null });
  const odd = fingerprinted({}, [aFinding({ file: "a b/ü#?.ts", range: null, message: "" })]);
  const report = aReport({ tools: [failed, aRun({ name: "knip", status: "untrusted", why: "x" })], findings: odd });
  expect(sarifErrors(report)).toEqual([]);
  expect(toSarif(report)).toMatchObject({
    runs: [
      {
        invocations: [
          { executionSuccessful: false, toolExecutionNotifications: [{ message: { text: "took longer than 5 s" } }] },
        ],
        results: [{ locations: [{ physicalLocation: { artifactLocation: { uri: "a%20b/%C3%BC%23%3F.ts" } } }] }],
      },
    ],
  });
});

it("text and Markdown have findings, tools, hotspots, notes; a message is one line without markup", () => {
  const message = "a | b\n<img src=x> [link](http://x) @team `code`";
  const findings = fingerprinted({}, [aFinding({ message })]);
  const tools = [aRun({ name: "eslint" }), aRun({ name: "knip", status: "failed", why: "exit code 2" })];
  const report = aReport({
    findings,
    tools,
    totals: countTotals(findings, false),
    notCovered: ["types"],
    notes: ["a limit"],
  });
  expect(toText(report)).toMatch(/^a\.ts:1:1 {2}warning {2}a \| b <img src=x> .* \[eslint r\]\n/);
  expect(toText(report)).toContain("knip        7.0.2  failed: exit code 2\n");
  expect(toText(report)).toContain("Not analysed: types. A tool that does: npm install --save-dev typescript\n");
  const markdown = toMarkdown(report);
  expect(markdown).toContain(
    "````text\na.ts:1:1  warning  a | b <img src=x> [link](http://x) @team `code`  [eslint r]\n",
  );
  expect(markdown).toContain("src/a.ts  complexity 5, 2 commits in a year\n");
  expect(markdown).toContain("a limit\n");
  const fences = toMarkdown(aReport({ findings: fingerprinted({}, [aFinding({ message: "````" })]) }));
  expect(fences.match(/````/g)).toHaveLength(2);
});

it("after a comparison only what is new is listed, and the rest is counted", () => {
  const [first, second] = fingerprinted({}, [aFinding(), aFinding({ message: "second" })]);
  if (!first || !second) throw new Error("no findings");
  const findings = [
    { ...first, isNew: false },
    { ...second, isNew: true },
  ];
  const report = aReport({
    findings,
    totals: countTotals(findings, true),
    comparedWith: { kind: "baseline", name: "b" },
  });
  expect(toText(report)).toMatch(/^a\.ts:1:1 {2}warning {2}second/);
  expect(toText(report)).toContain("1 new since the baseline b; 0 errors, 2 warnings, 0 notes in all\n");
});
