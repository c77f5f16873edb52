import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { InstalledTool, Parsed, ProjectView, ToolOutput } from "#src/code/analysis/adapter.ts";
import {
  type ToolName,
  markNew,
  mergeFindings,
  withFingerprints,
  type Finding,
  type MergedFinding,
  type RawFinding,
} from "#src/code/analysis/finding.ts";
import { adapters } from "#src/code/analysis/adapters/adapters.ts";
import { countTotals, Report, ToolRun, toText } from "#src/code/analysis/report.ts";

/**
 * What real tools printed for the files of `project`, whose folder was `/project`: TypeScript 7.0.2, ESLint 10.15.0,
 * oxlint 1.94.0, Biome 2.6.8, knip 6.44.2, fallow 3.36.0, jscpd 5.3.3.
 */
const { project: sampleFiles, ...recordings } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../harness/analysis/recorded.json"), "utf8"),
) as { readonly project: Readonly<Record<string, string>> } & Readonly<Record<ToolName | "eslint-failure", string>>;

const aTool: InstalledTool = { path: "/project/node_modules/tool/bin.js", isScript: true, version: "1.0.0" };

/** @param installed packages; all by default */
function aView(files: Readonly<Record<string, string>>, installed?: readonly string[]): ProjectView {
  return {
    root: "/project",
    read: (path) => files[path] ?? null,
    findTool: (name) => (installed === undefined || installed.includes(name) ? aTool : null),
  };
}

function adapterOf(name: ToolName) {
  const adapter = adapters.find((one) => one.name === name);
  if (!adapter) throw new Error(`no adapter ${name}`);
  return adapter;
}

function parse(name: ToolName, output: Partial<ToolOutput>, files = sampleFiles, selected: readonly ToolName[] = []) {
  const context = { project: aView(files), selected, toFile: (path: string) => path.replace(/^\/project\//, "") };
  return adapterOf(name).parse({ code: 1, stdout: "", stderr: "", ...output }, context);
}

function parsed(name: ToolName, stdout: string, files = sampleFiles): Parsed {
  const result = parse(name, { stdout }, files);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

const sampleResults = adapters.map(({ name: tool }) => {
  const { findings } = parsed(tool, recordings[tool]);
  return { tool, version: "1.0.0", findings };
});

function aFinding(changes: Partial<RawFinding> = {}): RawFinding {
  return { rule: "r", level: "warning", file: "a.ts", range: { line: 1, column: 1 }, message: "m", ...changes };
}

function merged(...results: [tool: string, ...findings: Partial<RawFinding>[]][]): MergedFinding[] {
  return mergeFindings(results.map(([tool, ...found]) => ({ tool, findings: found.map(aFinding) })));
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

it("equal rules in another line, in another file, of another symbol or of one tool stay apart", () => {
  const tsc = { rule: "TS2304", range: { line: 1, column: 9 } };
  const eslint = { rule: "no-undef", range: { line: 1, column: 9 } };
  const exported = { rule: "exports", symbol: "a", range: { line: 1 } };
  const unused = { ...exported, rule: "unused-export" };
  expect(
    [
      merged(["tsc", tsc], ["eslint", eslint]),
      merged(["tsc", { ...tsc, range: { line: 2 } }], ["eslint", eslint]),
      merged(["tsc", tsc], ["eslint", { ...eslint, file: "b.ts" }]),
      merged(["tsc", tsc], ["eslint", { ...eslint, rule: "no-unused-vars" }]),
      merged(["knip", exported], ["fallow", { ...unused, symbol: "b" }]),
      merged(["eslint", eslint, eslint]),
    ].map(({ length }) => length),
  ).toEqual([1, 2, 2, 2, 2, 2]);
  const joined = { tool: "knip", level: "error", others: [{ tool: "fallow" }] };
  expect(merged(["knip", exported], ["fallow", { ...unused, level: "error" }])).toMatchObject([joined]);
  const sorted = merged(["eslint", { range: { line: 2 } }, { range: null }, { file: "B.ts" }]);
  expect(sorted.map(({ file, range }) => `${file} ${range?.line}`)).toEqual(["B.ts 1", "a.ts undefined", "a.ts 2"]);
});

function fingerprinted(files: Record<string, string>, findings: readonly RawFinding[], tool = "eslint"): Finding[] {
  return withFingerprints(mergeFindings([{ tool, findings }]), (file) => files[file] ?? null);
}

/** A finding on each line that has the word. */
function findWord(files: Record<string, string>): Finding[] {
  const findings = Object.entries(files).flatMap(([file, text]) =>
    text.split("\n").flatMap((line, at) => (line.includes("bad") ? [aFinding({ file, range: { line: at + 1 } })] : [])),
  );
  return fingerprinted(files, findings);
}

it("harmless lines anywhere and other indentation make nothing new, a bad line makes one", () => {
  const line = fc.constantFrom("bad()", "bad(1)", "ok", "");
  const harmless = fc.array(fc.constantFrom("ok", "", "  // more"), { maxLength: 3 });
  const property = fc.property(fc.array(fc.tuple(harmless, line), { maxLength: 20 }), fc.nat(20), (parts, at) => {
    const before = findWord({ "a.ts": parts.map(([, one]) => one).join("\n") });
    const padded = parts.flatMap(([added, one]) => [...added, `  ${one}`]);
    const same = markNew(findWord({ "a.ts": padded.join("\n") }), before, () => true);
    expect(new Set(same.map(({ fingerprint }) => fingerprint)).size).toBe(same.length);
    expect(same.filter(({ isNew }) => isNew)).toEqual([]);
    const worse = padded.toSpliced(at, 0, "bad()");
    const found = markNew(findWord({ "a.ts": worse.join("\n") }), before, () => true);
    expect(found.filter(({ isNew }) => isNew)).toHaveLength(1);
  });
  fc.assert(property, { numRuns: 200 });
});

/** A finding of the file as a whole. */
function findWhole(file: string, text: string): Finding[] {
  return fingerprinted({ [file]: text }, [aFinding({ file, range: null })]);
}

it("a renamed file brings nothing new, a copied one does; each earlier one stands for one finding", () => {
  const text = "bad()\nbad()";
  const before = findWord({ "old.ts": text });
  const news = (files: Record<string, string>): number =>
    markNew(findWord(files), before, (file) => file in files).filter(({ isNew }) => isNew).length;
  expect(news({ "new.ts": text })).toBe(0);
  expect(news({ "old.ts": text, "copy.ts": text })).toBe(2);
  expect(news({ "new.ts": `${text}\nbad()` })).toBe(1);
  expect(news({ "old.ts": "ok()", "new.ts": text })).toBe(2);
  const known = findWhole("old.ts", "a");
  const found = ["a", "b"].flatMap((content) => markNew(findWhole("new.ts", content), known, () => false));
  expect(found.map(({ isNew }) => isNew)).toEqual([false, true]);
});

function aRun(changes: Partial<ToolRun> = {}): ToolRun {
  const usual = { name: "tsc", kinds: ["types"], status: "ran", version: "7.0.2", why: null, findings: 1, ms: 900 };
  return ToolRun.parse({ ...usual, ...changes });
}

function aReport(changes: Partial<Report> = {}): Report {
  const findings = withFingerprints(mergeFindings(sampleResults), (file) => sampleFiles[file] ?? null);
  const tools = adapters.map(({ name, kinds }) => aRun({ name, kinds: [...kinds] }));
  const totals = countTotals(findings, false);
  const usual = { version: 1, folder: "/project", comparedWith: null, notes: [] };
  return Report.parse({ ...usual, tools, findings, totals, ...changes });
}

it("the text has findings, tools, notes; a message is one line", () => {
  const message = "a | b\n<img src=x> [link](http://x) @team `code`";
  const findings = fingerprinted({}, [aFinding({ message })]);
  const tools = [aRun({ name: "eslint" }), aRun({ name: "knip", status: "failed", why: "exit code 2" })];
  const report = aReport({ findings, tools, notCovered: ["types"], notes: ["a limit"] });
  const text = toText(report);
  expect(text).toMatch(/^a\.ts:1:1 {2}warning {2}a \| b <img src=x> .* \[eslint r\]\n/);
  expect(text).toMatch(/^knip +7\.0\.2 +failed: exit code 2$/m);
  expect(text).toContain("Not analysed: types. A tool that does: npm install --save-dev typescript\n");
  expect(text).toContain("a limit\n");
});

function lines(name: ToolName, output: string, files = sampleFiles): string[] {
  return parsed(name, output, files).findings.map(({ file, range, level, rule, symbol }) => {
    const { line, column } = range ?? {};
    return `${file} ${line ?? "*"}:${column ?? "*"} ${level} ${rule}${symbol === undefined ? "" : ` ${symbol}`}`;
  });
}

it("each finding has its position, level and rule; a message keeps the lines of its details", () => {
  const ofTsc = lines("tsc", recordings.tsc);
  expect(ofTsc).toHaveLength(6);
  expect(ofTsc).toEqual(expect.arrayContaining(["src/index.ts 2:25 error TS2307", "src/index.ts 9:7 error TS2322"]));
  const detailed = /^Type '.*' is not assignable .*\. Types of parameters .*\. Type 'string' is not .* 'number'\.$/;
  expect(parsed("tsc", recordings.tsc).findings.at(-1)?.message).toMatch(detailed);
  expect(lines("eslint", recordings.eslint)).toEqual([
    "src/plain.js 1:7 warning no-unused-vars",
    "src/plain.js 3:3 error no-debugger",
    "src/plain.js 4:10 error no-undef",
  ]);
  const fatal = [{ filePath: "/project/a.js", messages: [{ fatal: true, line: 0, message: "Unexpected token" }] }];
  expect(lines("eslint", JSON.stringify(fatal))).toEqual(["a.js *:* error parse-error"]);
  expect(lines("knip", recordings.knip)).toEqual(
    expect.arrayContaining([
      "src/plain.js *:* warning files",
      "package.json *:* warning dependencies left-pad",
      "package.json *:* warning devDependencies eslint",
      "src/index.ts 2:25 warning unresolved ./nowhere.ts",
      "src/shapes.ts 5:17 warning exports deadExport",
      "src/shapes.ts 9:18 warning types DeadShape",
    ]),
  );
  expect(lines("knip", '{"files":["of-version-5.ts"],"issues":[]}')).toEqual(["of-version-5.ts *:* warning files"]);
  expect(lines("fallow", recordings.fallow)).toEqual(
    expect.arrayContaining([
      "src/shapes.ts 5:17 error unused-export deadExport",
      "src/index.ts 2:25 error unresolved-import ./nowhere.ts",
      "src/copy-one.ts 1:* warning code-duplication",
    ]),
  );
  expect(lines("biome", recordings.biome)).toContain("src/plain.js 3:3 error lint/suspicious/noDebugger");
  const hook = { name: ".git/hooks/a.js", start: 1, end: 9 };
  expect(lines("jscpd", JSON.stringify({ duplicates: [{ firstFile: hook, secondFile: hook }] }))).toEqual([]);
});

it("a finding of oxlint is at its first label", () => {
  expect(lines("oxlint", recordings.oxlint)).toEqual(
    expect.arrayContaining([
      "src/plain.js 3:3 error eslint(no-debugger)",
      "src/index.ts 4:7 warning eslint(no-unused-vars)",
      "src/index.ts 6:22 error eslint(no-undef)",
    ]),
  );
});

function tooComplex(output: string, files = sampleFiles, selected: readonly ToolName[] = []): number | null {
  const found = parse("complexity", { stdout: output }, files, selected);
  return found.ok ? found.value.findings.length : null;
}

it("a function above 10 is too complex, where no rule of the project says so itself", () => {
  expect(tooComplex(recordings.complexity)).toBe(2);
  const own = { ".oxlintrc.json": '{"rules":{"complexity":["warn",5]}}' };
  expect(tooComplex(recordings.complexity, own)).toBe(2);
  expect(tooComplex(recordings.complexity, own, ["oxlint"])).toBe(0);
});

function error(name: ToolName, output: Partial<ToolOutput>): string | null {
  const found = parse(name, output);
  return found.ok ? null : found.error;
}

it("what is no report is a failure in the tool's own words", () => {
  const stderr = recordings["eslint-failure"];
  expect(error("eslint", { code: 2, stdout: "[]", stderr })).toContain("exit code 2: Oops! Something went wrong!");
  const failure = { error: true, message: "failed to load config", exit_code: 2 };
  expect(error("fallow", { code: 1, stdout: JSON.stringify(failure) })).toBe("failed to load config");
  for (const { name } of adapters.filter((one) => one.name !== "tsc")) {
    expect([name, error(name, { code: 0, stdout: "{ cut off" })]).not.toEqual([name, null]);
    expect([name, error(name, { code: 139 })]).toEqual([name, "exit code 139 without a report"]);
    expect([name, error(name, { code: 2, stdout: recordings[name] })]).not.toEqual([name, null]);
    expect([name, error(name, { stdout: `A notice.\n${recordings[name]}` })]).toEqual([name, null]);
  }
  expect(error("tsc", { code: 1, stderr: "panic: runtime error" })).toBe("exit code 1: panic: runtime error");
  expect(error("tsc", { code: 134, stdout: recordings.tsc })).not.toBeNull();
});

function kind(name: ToolName, files: Record<string, string>, installed?: readonly string[]): string {
  return adapterOf(name).detect(aView(files, installed))?.kind ?? "unused";
}

it("a tool is ready, missing where the project is set up for it, and else unused", () => {
  const all = { ...sampleFiles, "biome.json": "{}", "knip.json": "{}", ".jscpd.json": "{}", ".fallowrc.json": "{}" };
  for (const name of ["tsc", "eslint", "oxlint", "biome", "knip", "fallow", "jscpd"] as const) {
    expect(kind(name, all)).toBe("ready");
    expect(kind(name, all, [])).toBe("missing");
    expect(kind(name, {}, [])).toBe("unused");
  }
  expect(kind("complexity", all, ["eslint"])).toBe("ready");
  expect(kind("complexity", all, [])).toBe("unused");
});

it("complexity has settings of its own and the files of the project's; installed packages are no project's", () => {
  const context = { scratch: "/scratch", writeScratch: (name: string) => `/scratch/${name}` };
  const command = (name: ToolName, files: Readonly<Record<string, string>>): string =>
    adapterOf(name)
      .command({ ...context, project: aView(files) })
      .args.join(" ");
  expect(command("oxlint", sampleFiles)).toBe("-f json --ignore-pattern=**/node_modules/**");
  expect(command("complexity", sampleFiles)).toContain("-c /scratch/complexity.json --disable-nested-config");
  const ignoring = { ".oxlintrc.json": '{"ignorePatterns":["gen/**"]}' };
  expect(command("complexity", ignoring)).toContain("--ignore-pattern=gen/**");
  expect(command("tsc", sampleFiles)).toContain("--noEmit");
  expect(command("tsc", { "tsconfig.json": '{"references":[{"path":"a"}]}' })).toBe("-b --pretty false");
});
