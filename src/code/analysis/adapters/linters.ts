import { parse } from "jsonc-parser";
import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseJson,
  textAt,
  type JsonObject,
} from "../../../shared/json-fields.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import {
  detectTool,
  firstFile,
  type Adapter,
  type CommandContext,
  type ParseContext,
  type Parsed,
  type ProjectView,
  type ToolCommand,
  type ToolOutput,
  outputProblem,
  parseReport,
  rangeAt,
} from "../adapter.ts";
import type { Level, RawFinding } from "../finding.ts";

const position = { line: "line", column: "column" } as const;

function withEndings(name: string, endings: readonly string[]): string[] {
  return endings.map((ending) => `${name}.${ending}`);
}

const scriptEndings = ["js", "mjs", "cjs", "ts", "mts", "cts"];
const eslintConfigs = [
  ...withEndings("eslint.config", scriptEndings),
  ".eslintrc",
  ...withEndings(".eslintrc", ["js", "cjs", "yaml", "yml", "json"]),
];

function eslintConfig(project: ProjectView): string | null {
  const file = firstFile(project, eslintConfigs);
  return file ?? (project.read("package.json")?.includes('"eslintConfig"') ? "package.json" : null);
}

export const eslint: Adapter = {
  name: "eslint",
  kinds: ["lint"],
  detect: (project) => {
    const config = eslintConfig(project);
    return config === null ? null : detectTool(project, { packageName: "eslint", setUp: `there is ${config}` });
  },
  command: () => ({ args: ["--format", "json", "."] }),
  parse: parseEslint,
};

/** 2: the configuration or ESLint itself failed. */
function parseEslint(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const { code, stdout } = output;
  const files = code <= 1 ? parseJson(stdout.slice(Math.max(0, stdout.indexOf("[{")))) : null;
  if (!Array.isArray(files)) return err(outputProblem(output));
  const findings = files.map(asObject).flatMap((file) => {
    const path = toFile(textAt(file, "filePath") ?? "");
    return listAt(file, "messages").map((message) => eslintFinding(path, asObject(message)));
  });
  return ok({ findings });
}

function eslintFinding(file: string, message: JsonObject | null): RawFinding {
  const isFatal = message?.["fatal"] === true;
  return {
    rule: textAt(message, "ruleId") ?? (isFatal ? "parse-error" : "eslint"),
    level: isFatal || numberAt(message, "severity") === 2 ? "error" : "warning",
    file,
    range: rangeAt(message, position),
    message: textAt(message, "message") ?? "",
  };
}

const oxlintJson = [".oxlintrc.json", ".oxlintrc.jsonc"];
const oxlintConfigs = [...oxlintJson, ...withEndings("oxlint.config", scriptEndings)];

/** Outside a repository oxlint also reads what is installed. */
const notPackages = "--ignore-pattern=**/node_modules/**";

function oxlintSettings(project: ProjectView): JsonObject | null {
  const config = firstFile(project, oxlintJson);
  return config === null ? null : asObject(parse(project.read(config) ?? ""));
}

export const oxlint: Adapter = {
  name: "oxlint",
  kinds: ["lint"],
  detect: (project) => {
    const config = firstFile(project, oxlintConfigs);
    const setUp = config === null ? null : `there is ${config}`;
    return detectTool(project, { packageName: "oxlint", setUp });
  },
  command: () => ({ args: ["-f", "json", notPackages] }),
  parse: parseOxlint,
};

const levels: Readonly<Record<string, Level>> = { fatal: "error", error: "error", warning: "warning" };

function levelOf(found: JsonObject | null): Level {
  return levels[textAt(found, "severity") ?? ""] ?? "note";
}

function parseOxlint(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const report = parseReport(output);
  if (!report.ok) return report;
  const findings = listAt(report.value, "diagnostics").map((one): RawFinding => {
    const diagnostic = asObject(one);
    return {
      rule: textAt(diagnostic, "code") ?? "parse-error",
      level: levelOf(diagnostic),
      file: toFile(textAt(diagnostic, "filename") ?? ""),
      range: rangeAt(objectAt(asObject(listAt(diagnostic, "labels")[0]), "span"), position),
      message: textAt(diagnostic, "message") ?? "",
    };
  });
  return ok({ findings });
}

export const biome: Adapter = {
  name: "biome",
  kinds: ["lint"],
  detect: (project) => {
    const config = firstFile(project, ["biome.json", "biome.jsonc", ".biome.json", ".biome.jsonc"]);
    if (config === null) return null;
    return detectTool(project, { packageName: "@biomejs/biome", program: "biome", setUp: `there is ${config}` });
  },
  command: () => ({ args: ["lint", "--reporter=json", "--max-diagnostics=none", "."] }),
  parse: (output, { toFile }) => {
    const report = parseReport(output);
    if (!report.ok) return report;
    return ok({ findings: listAt(report.value, "diagnostics").map((one) => biomeFinding(asObject(one), toFile)) });
  },
};

function biomeFinding(diagnostic: JsonObject | null, toFile: (path: string) => string): RawFinding {
  const location = objectAt(diagnostic, "location");
  return {
    rule: textAt(diagnostic, "category") ?? "biome",
    level: levelOf(diagnostic),
    file: toFile(textAt(location, "path") ?? ""),
    range: rangeAt(objectAt(location, "start"), position),
    message: textAt(diagnostic, "message") ?? "",
  };
}

/** Above it a function is a finding, where the project has no rule of its own. */
const maxComplexity = 10;
const complexityRule = { complexity: ["warn", { max: maxComplexity }] };

/** The `complexity` rule of oxlint, or of ESLint where oxlint is not installed. */
export const complexity: Adapter = {
  name: "complexity",
  kinds: ["complexity"],
  detect: (project) => {
    const detected = hasOxlint(project)
      ? detectTool(project, { packageName: "oxlint", setUp: null })
      : eslint.detect(project);
    return detected?.kind === "ready" ? detected : null;
  },
  command: (context) =>
    hasOxlint(context.project)
      ? oxlintComplexity(context)
      : { args: ["--format", "json", "--rule", JSON.stringify(complexityRule), "."] },
  parse: parseComplexity,
};

function hasOxlint(project: ProjectView): boolean {
  const tool = project.findTool("oxlint", "oxlint");
  return tool !== null && typeof tool !== "string";
}

/** With a configuration of SHIM's own: the project's could have another threshold. */
function oxlintComplexity({ project, writeScratch }: CommandContext): ToolCommand {
  const config = { plugins: ["typescript"], categories: { correctness: "off" }, rules: complexityRule };
  const ignored = listAt(oxlintSettings(project), "ignorePatterns").filter((one) => typeof one === "string");
  const path = writeScratch("complexity.json", JSON.stringify(config));
  const patterns = ignored.map((pattern) => `--ignore-pattern=${pattern}`);
  return { args: ["-c", path, "--disable-nested-config", "-f", "json", notPackages, ...patterns] };
}

function parseComplexity(output: ToolOutput, context: ParseContext): Result<Parsed, string> {
  const isOxlint = hasOxlint(context.project);
  const parsed = isOxlint ? parseOxlint(output, context) : parseEslint(output, context);
  if (!parsed.ok) return parsed;
  if (hasOwnRule(context, isOxlint)) return ok({ findings: [] });
  const found = parsed.value.findings.filter((one) => /^(?:eslint\()?complexity\)?$/.test(one.rule));
  return ok({ findings: found.map(ofFunction) });
}

/** The linter's own run reports it, with the project's threshold. */
function hasOwnRule({ project, selected }: ParseContext, isOxlint: boolean): boolean {
  const config = isOxlint ? firstFile(project, oxlintConfigs) : eslintConfig(project);
  const isNamed = config !== null && /\bcomplexity\b/.test(project.read(config) ?? "");
  return isNamed && selected.includes(isOxlint ? "oxlint" : "eslint");
}

function ofFunction(found: RawFinding): RawFinding {
  const [, symbol] = /[`']([^`']*)[`'] has a complexity/.exec(found.message) ?? [];
  return { ...found, rule: "complexity", level: "warning", ...omitUndefined({ symbol }) };
}
