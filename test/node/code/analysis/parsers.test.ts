import { expect, it } from "vitest";
import type { ToolName } from "#src/code/analysis/adapter.ts";
import { adapterOf, aView, parseResult, parseWith, recorded, sampleFiles } from "#harness/analysis/recorded.ts";

function lines(name: ToolName, output: string, options?: Parameters<typeof parseWith>[2]): string[] {
  return parseWith(name, { stdout: output }, options).findings.map(({ file, range, level, rule, symbol }) => {
    const { line, column, endLine, endColumn } = range ?? {};
    const end = endLine === undefined ? "" : `-${endLine}:${endColumn}`;
    return `${file} ${line ?? "*"}:${column ?? "*"}${end} ${level} ${rule}${symbol === undefined ? "" : ` ${symbol}`}`;
  });
}

it("tsc: position, code, and a message with the lines of its details", () => {
  expect(lines("tsc", recorded("tsc"))).toEqual([
    "src/index.ts 2:25 error TS2307",
    "src/index.ts 4:7 error TS6133",
    "src/index.ts 5:7 error TS2322",
    "src/index.ts 6:22 error TS2552",
    "src/index.ts 7:45 error TS2322",
    "src/index.ts 9:7 error TS2322",
  ]);
  expect(parseWith("tsc", { stdout: recorded("tsc") }).findings.at(-1)?.message).toBe(
    "Type '(value: number) => undefined' is not assignable to type '(value: string) => void'. Types of parameters 'value' and 'value' are incompatible. Type 'string' is not assignable to type 'number'.",
  );
});

it("tsc: an error without a file is one of the settings; no output is no finding", () => {
  expect(lines("tsc", "error TS18003: No inputs were found in config file.\n")).toEqual([
    "tsconfig.json *:* error TS18003",
  ]);
  expect(parseWith("tsc", { code: 0 }).findings).toEqual([]);
});

it("ESLint: severities, ranges, and a file that it cannot parse", () => {
  expect(lines("eslint", recorded("eslint"))).toEqual([
    "src/plain.js 1:7-1:14 warning no-unused-vars",
    "src/plain.js 3:3-3:12 error no-debugger",
    "src/plain.js 4:10-4:17 error no-undef",
  ]);
  const fatal = [{ filePath: "/project/a.js", messages: [{ fatal: true, severity: 2, message: "Unexpected token" }] }];
  expect(lines("eslint", JSON.stringify(fatal))).toEqual(["a.js *:* error parse-error"]);
});

it("oxlint: the end of a range follows from bytes, also after characters of several bytes", () => {
  expect(lines("oxlint", recorded("oxlint"))).toEqual(
    expect.arrayContaining([
      "src/plain.js 3:3-3:12 error eslint(no-debugger)",
      "src/index.ts 4:7-4:13 warning eslint(no-unused-vars)",
      "src/index.ts 6:22-6:35 error eslint(no-undef)",
    ]),
  );
  const files = { "a.js": '"ü";\nname\n' };
  const span = { offset: 6, length: 4, line: 2, column: 1 };
  const diagnostic = { code: "eslint(x)", severity: "error", filename: "a.js", labels: [{ span }] };
  expect(lines("oxlint", JSON.stringify({ diagnostics: [diagnostic] }), { files })).toEqual([
    "a.js 2:1-2:5 error eslint(x)",
  ]);
});

it("Biome: category, severity and range", () => {
  expect(lines("biome", recorded("biome"))).toEqual(
    expect.arrayContaining([
      "src/index.ts 4:7-4:13 warning lint/correctness/noUnusedVariables",
      "src/plain.js 3:3-3:12 error lint/suspicious/noDebugger",
    ]),
  );
});

it("complexity: functions above the threshold are findings, sums by file are for hotspots", () => {
  for (const [installed, name, found] of [
    [
      ["oxlint"],
      "complexity-oxlint",
      ["src/plain.js 8:8 warning complexity route", "src/shapes.ts 13:8 warning complexity grade"],
    ],
    [["eslint"], "complexity-eslint", ["src/plain.js 8:8 warning complexity route"]],
  ] as const) {
    const parsed = parseWith("complexity", { stdout: recorded(name) }, { installed });
    expect(lines("complexity", recorded(name), { installed }).toSorted()).toEqual(found);
    expect(parsed.complexity?.find(({ file }) => file === "src/plain.js")?.complexity).toBe(12);
    expect(parsed.findings[0]?.message).toContain("Maximum allowed is 10.");
  }
});

it("knip: files, exports, types, dependencies with their line, imports", () => {
  expect(lines("knip", recorded("knip"))).toEqual([
    "src/copy-one.ts *:* warning files",
    "src/copy-two.ts *:* warning files",
    "src/plain.js *:* warning files",
    "package.json *:* warning dependencies left-pad",
    "package.json *:* warning devDependencies eslint",
    "src/index.ts 2:25 warning unresolved ./nowhere.ts",
    "src/shapes.ts 5:17 warning exports deadExport",
    "src/shapes.ts 13:17 warning exports grade",
    "src/shapes.ts 9:18 warning types DeadShape",
  ]);
});

it("knip: the forms of older versions", () => {
  const issue = {
    file: "a.ts",
    enumMembers: { Color: [{ name: "Red", line: 2, col: 3 }] },
    duplicates: [[{ name: "a", line: 1, col: 8 }, { name: "default" }]],
  };
  expect(lines("knip", JSON.stringify({ files: ["gone.ts"], issues: [issue] }))).toEqual([
    "gone.ts *:* warning files",
    "a.ts 2:3 warning enumMembers Red",
    "a.ts 1:8 warning duplicates a, default",
  ]);
});

it("fallow: dead code and duplicates of one report", () => {
  expect(lines("fallow", recorded("fallow"))).toEqual(
    expect.arrayContaining([
      "src/copy-one.ts *:* error unused-file",
      "src/shapes.ts 5:17 error unused-export deadExport",
      "src/shapes.ts 9:18 error unused-type DeadShape",
      "package.json 2:* error unused-dependency left-pad",
      "src/index.ts 2:25 error unresolved-import ./nowhere.ts",
      "src/copy-one.ts 1:*-11:undefined warning code-duplication",
    ]),
  );
  const cycle = { files: ["a.ts", "b.ts"], line: 1, col: 0, actions: [{}] };
  const check = { circular_dependencies: [cycle], workspace_diagnostics: [{ path: "b" }], notes: [{ text: "x" }] };
  expect(parseWith("fallow", { stdout: JSON.stringify({ check }) }).findings).toMatchObject([
    { file: "a.ts", rule: "circular-dependency", message: "circular dependency: a.ts -> b.ts" },
  ]);
});

it("fallow: an older version, which states no severities", () => {
  const found = lines("fallow", recorded("fallow-3.14"));
  expect(found).toEqual(
    expect.arrayContaining([
      "src/copy-one.ts *:* warning unused-file",
      "src/shapes.ts 5:17 warning unused-export deadExport",
      "package.json 2:* warning unused-dependency left-pad",
      "src/index.ts 2:25 warning unresolved-import ./nowhere.ts",
      "src/copy-one.ts 1:*-11:undefined warning code-duplication",
    ]),
  );
  expect(found).toHaveLength(lines("fallow", recorded("fallow")).length);
});

it("jscpd: one finding for a pair, at the first copy, with the other", () => {
  const { findings } = parseWith("jscpd", { stdout: recorded("jscpd"), code: 0 });
  expect(findings).toMatchObject([
    {
      file: "src/copy-one.ts",
      range: { line: 1, endLine: 12 },
      message: "12 lines are also in src/copy-two.ts:1",
      related: [{ file: "src/copy-two.ts", range: { line: 1, endLine: 12 } }],
    },
  ]);
});

it("what is no report is a failure in the tool's own words", () => {
  expect(parseResult("eslint", { code: 2, stderr: recorded("eslint-failure") })).toMatchObject({
    ok: false,
    error: expect.stringContaining("exit code 2: Oops! Something went wrong!") as string,
  });
  const failure = { error: true, message: "failed to load config", exit_code: 2 };
  expect(parseResult("fallow", { code: 1, stdout: JSON.stringify(failure) })).toMatchObject({
    error: "failed to load config",
  });
  for (const name of ["eslint", "oxlint", "biome", "complexity", "knip", "fallow", "jscpd"] as const) {
    expect(parseResult(name, { code: 0, stdout: "{ cut off" })).toMatchObject({ ok: false });
    expect(parseResult(name, { code: 139, stdout: "" })).toEqual({
      ok: false,
      error: "exit code 139 without a report",
    });
  }
  expect(parseResult("tsc", { code: 1, stderr: "panic: runtime error" })).toMatchObject({
    error: "exit code 1: panic: runtime error",
  });
  expect(parseResult("tsc", { code: 134, stdout: recorded("tsc") })).toMatchObject({ ok: false });
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

function risk(name: ToolName, files: Record<string, string>): boolean {
  const detected = adapterOf(name).detect(aView(files));
  return detected?.kind === "ready" && detected.risk !== null;
}

it("which tools can run code of the project follows from its files", () => {
  expect(risk("tsc", sampleFiles)).toBe(false);
  expect(risk("tsc", { "tsconfig.json": '{ "references": [{ "path": "a" }] /* built */ }' })).toBe(true);
  expect(risk("eslint", sampleFiles)).toBe(true);
  expect(risk("oxlint", {})).toBe(false);
  expect(risk("oxlint", { ".oxlintrc.json": '{ "rules": {} }' })).toBe(false);
  expect(risk("oxlint", { ".oxlintrc.json": '{ "jsPlugins": ["./plugin.js"] }' })).toBe(true);
  expect(risk("oxlint", { ".oxlintrc.json": '{ "extends": ["./other.json"] }' })).toBe(true);
  expect(risk("oxlint", { ".oxlintrc.json": '{ "overrides": [{ "files": ["*"], "jsPlugins": ["./p.js"] }] }' })).toBe(
    true,
  );
  expect(risk("oxlint", { "oxlint.config.ts": "export default {}" })).toBe(true);
  expect(risk("knip", {})).toBe(true);
  expect(risk("jscpd", {})).toBe(true);
  expect(risk("fallow", {})).toBe(false);
  expect(risk("biome", { "biome.json": "{}" })).toBe(false);
});

it("commands of an untrusted project read no configuration that could name code", () => {
  const context = { isTrusted: false, scratch: "/scratch", writeScratch: (name: string) => `/scratch/${name}` };
  const packages = "--ignore-pattern=**/node_modules/**";
  const args = (name: ToolName): readonly string[] =>
    adapterOf(name).command({ ...context, project: aView(sampleFiles) }).args;
  expect(args("oxlint")).toEqual(["-f", "json", packages, "-c", ".oxlintrc.json", "--disable-nested-config"]);
  const bare = adapterOf("oxlint").command({ ...context, project: aView({}) }).args;
  expect(bare).toEqual(["-f", "json", packages, "-c", "/scratch/oxlint.json", "--disable-nested-config"]);
  expect(args("complexity")).toEqual([
    "-c",
    "/scratch/complexity.json",
    "--disable-nested-config",
    "-f",
    "json",
    packages,
  ]);
  expect(args("tsc")).toContain("--noEmit");
  expect(args("fallow")).toEqual(expect.arrayContaining(["--no-cache", "--no-type-aware"]));
});

it("findings of every tool are JSON: a field without a value is absent", () => {
  for (const name of ["tsc", "eslint", "oxlint", "biome", "knip", "fallow", "jscpd"] as const) {
    const { findings } = parseWith(name, { stdout: recorded(name) });
    expect([name, findings]).toStrictEqual([name, JSON.parse(JSON.stringify(findings))]);
  }
});
