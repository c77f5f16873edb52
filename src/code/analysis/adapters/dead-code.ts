import { compare } from "../../../shared/compare.ts";
import {
  asObject,
  isRecord,
  listAt,
  numberAt,
  objectAt,
  textAt,
  type JsonObject,
} from "../../../shared/json-fields.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import {
  detectTool,
  firstFile,
  type Adapter,
  type ParseContext,
  type Parsed,
  type ToolOutput,
  outputProblem,
  parseReport,
  rangeAt,
} from "../adapter.ts";
import type { Level, Position, RawFinding } from "../finding.ts";

type ToFile = (path: string) => string;

function detection(packageName: string, configs: readonly string[]): Adapter["detect"] {
  return (project) => {
    const config = firstFile(project, configs);
    const setUp = config === null ? null : `there is ${config}`;
    return detectTool(project, { packageName, setUp });
  };
}

export const knip: Adapter = {
  name: "knip",
  kinds: ["dead code"],
  detect: detection("knip", [
    "knip.json",
    "knip.jsonc",
    ".knip.json",
    ".knip.jsonc",
    "knip.ts",
    "knip.js",
    "knip.config.ts",
    "knip.config.js",
  ]),
  command: () => ({ args: ["--reporter", "json", "--no-progress"] }),
  parse: parseKnip,
};

function parseKnip(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const report = parseReport(output);
  if (!report.ok) return report;
  const findings = listAt(report.value, "issues").flatMap((one) => {
    const { file: _file, owners: _owners, ...rules } = asObject(one) ?? {};
    const file = toFile(textAt(asObject(one), "file") ?? "");
    return Object.entries(rules).flatMap(([rule, found]) =>
      knipItems(found).map((item) => knipFinding(file, rule, item)),
    );
  });
  // Versions before 6 list files beside the issues.
  const files = listAt(report.value, "files").filter((file) => typeof file === "string");
  return ok({ findings: [...files.map((file) => unusedFile(toFile(file))), ...findings] });
}

/** Members come as lists, or as lists by the name of their enum or class. */
function knipItems(found: unknown): (JsonObject | readonly unknown[])[] {
  if (Array.isArray(found)) return found.filter((item) => isRecord(item) || Array.isArray(item));
  return isRecord(found) ? Object.values(found).flatMap(knipItems) : [];
}

function unusedFile(file: string): RawFinding {
  return { rule: "files", level: "warning", file, range: null, message: "unused file" };
}

function knipFinding(file: string, rule: string, item: JsonObject | readonly unknown[]): RawFinding {
  if (rule === "files") return unusedFile(file);
  const group = Array.isArray(item) ? item.map(asObject) : [item as JsonObject];
  const [first = null] = group;
  const symbol = group.map((one) => textAt(one, "name") ?? "").join(", ");
  const line = numberAt(first, "line");
  const column = numberAt(first, "col") || undefined;
  const message = `${rule}: ${symbol}`;
  return { rule, level: "warning", file, range: line ? { line, ...omitUndefined({ column }) } : null, message, symbol };
}

export const fallow: Adapter = {
  name: "fallow",
  kinds: ["dead code", "duplicates"],
  detect: detection("fallow", [".fallowrc.json", ".fallowrc.jsonc", "fallow.toml", ".fallow.toml"]),
  command: () => ({ args: ["--format", "json", "--quiet", "--no-cache", "--no-type-aware"] }),
  parse: parseFallow,
};

function parseFallow(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const report = parseReport(output);
  if (!report.ok) return report;
  if (report.value["error"] === true) return err(textAt(report.value, "message") ?? outputProblem(output));
  const clones = listAt(objectAt(report.value, "dupes"), "clone_groups").map(asObject);
  const findings = [
    ...Object.entries(objectAt(report.value, "check") ?? {}).flatMap(([key, found]) =>
      checkFindings(key, found, toFile),
    ),
    ...clones.flatMap((group) => {
      const copies = listAt(group, "instances").map(asObject);
      const fields = { file: "file", line: "start_line", endLine: "end_line" };
      return clonesFinding("code-duplication", copies, fields, toFile);
    }),
  ];
  return ok({ findings });
}

const fallowLevels: Readonly<Record<string, Level>> = { error: "error", warn: "warning", warning: "warning" };

function fallowLevel(found: JsonObject | null): Level {
  return fallowLevels[textAt(found, "effective_severity") ?? "warning"] ?? "note";
}

const symbolFields = ["export_name", "package_name", "specifier", "member_name", "dependency_name", "name"];

/** Lists of findings are those whose items have a file; the key is the rule in the plural. */
function checkFindings(key: string, found: unknown, toFile: ToFile): RawFinding[] {
  const items = Array.isArray(found) && !key.endsWith("diagnostics") ? found.map(asObject) : [];
  const rule = key.replaceAll("_", "-").replace(/ies$/, "y").replace(/s$/, "");
  const findings = items.filter((one) => listAt(one, "actions").length > 0 || textAt(one, "path") !== null);
  return findings.map((one) => checkFinding(rule, one, toFile));
}

function checkFinding(rule: string, found: JsonObject | null, toFile: ToFile): RawFinding {
  const files = listAt(found, "files").filter((file) => typeof file === "string");
  // Exports of one name, and imports of one package, are findings with several positions.
  const positions = [...listAt(found, "locations"), ...listAt(found, "imported_from")];
  const first = textAt(found, "path") === null ? (asObject(positions[0]) ?? found) : found;
  const file = textAt(first, "path") ?? files[0] ?? "package.json";
  const symbol = symbolFields.map((field) => textAt(found, field)).find((name) => name !== null);
  const column = numberAt(found, "specifier_col") === null ? "col" : "specifier_col";
  const range = rangeAt(first, { line: "line", column, columnOffset: 1 });
  const subject = symbol ?? files.join(" -> ");
  const message = `${rule.replaceAll("-", " ")}${subject === "" ? "" : `: ${subject}`}`;
  const finding = { rule, level: fallowLevel(found), file: toFile(file), range, message };
  return symbol === undefined ? finding : { ...finding, symbol };
}

export const jscpd: Adapter = {
  name: "jscpd",
  kinds: ["duplicates"],
  detect: detection("jscpd", [".jscpd.json"]),
  command: ({ scratch }) => ({
    args: ["--reporters", "json", "--output", scratch, "--silent", "."],
    reportFile: "jscpd-report.json",
  }),
  parse: (output, { toFile }) => {
    // Exit code 1: a threshold of the project's configuration is exceeded.
    const report = parseReport(output);
    if (!report.ok) return report;
    const findings = listAt(report.value, "duplicates").flatMap((one) => {
      const copies = [objectAt(asObject(one), "firstFile"), objectAt(asObject(one), "secondFile")];
      return clonesFinding("duplicate", copies, { file: "name", line: "start", endLine: "end" }, toFile);
    });
    return ok({ findings: findings.filter(({ file }) => !file.startsWith(".git/")) });
  },
};

/** One finding at the first copy, whichever order the tool lists the copies in. */
function clonesFinding(
  rule: string,
  copies: readonly (JsonObject | null)[],
  fields: { readonly file: string; readonly line: string; readonly endLine: string },
  toFile: ToFile,
): RawFinding[] {
  const found = copies.map((copy): Position => ({
    file: toFile(textAt(copy, fields.file) ?? ""),
    range: rangeAt(copy, fields),
  }));
  const [first, ...related] = found.toSorted(
    (a, b) => compare(a.file, b.file) || (a.range?.line ?? 0) - (b.range?.line ?? 0),
  );
  if (first === undefined) return [];
  const { line = 1, endLine = line } = first.range ?? {};
  const positions = related.map(({ file, range }) => `${file}:${range?.line ?? 1}`);
  const message = `${endLine - line + 1} lines are also in ${positions.join(", ")}`;
  return [{ rule, level: "warning", ...first, message, related }];
}
