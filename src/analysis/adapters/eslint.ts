import { asObject, listAt, numberAt, parseJson, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Adapter, Parsed, ParseContext, ProjectView, ToolOutput } from "../adapter.ts";
import type { RawFinding } from "../finding.ts";
import { detectTool, firstFile } from "./detection.ts";
import { rangeAt } from "./ranges.ts";
import { outputProblem } from "./report-json.ts";

const flatConfigs = ["js", "mjs", "cjs", "ts", "mts", "cts"].map((ending) => `eslint.config.${ending}`);
const oldConfigs = ["", ".js", ".cjs", ".yaml", ".yml", ".json"].map((ending) => `.eslintrc${ending}`);

export function eslintConfig(project: ProjectView): string | null {
  const file = firstFile(project, [...flatConfigs, ...oldConfigs]);
  return file ?? (project.read("package.json")?.includes('"eslintConfig"') ? "package.json" : null);
}

export const eslint: Adapter = {
  name: "eslint",
  kinds: ["lint"],
  detect: detectEslint,
  command: () => ({ args: ["--format", "json", "."] }),
  parse: parseEslint,
};

export function detectEslint(project: ProjectView): ReturnType<Adapter["detect"]> {
  const config = eslintConfig(project);
  if (config === null) return { kind: "unused", why: "there is no configuration of ESLint" };
  const risk = `${config} and the plugins in it are code of the project`;
  return detectTool(project, { packageName: "eslint", program: "eslint", setUp: `there is ${config}`, risk });
}

/** 2: the configuration or ESLint itself failed. */
export function parseEslint(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const files = output.code <= 1 ? parseFiles(output.stdout) : null;
  if (files === null) return err(outputProblem(output));
  const findings = files.flatMap((file) => {
    const path = toFile(textAt(file, "filePath") ?? "");
    return listAt(file, "messages").map((message) => toFinding(path, asObject(message)));
  });
  return ok({ findings });
}

function parseFiles(text: string): (JsonObject | null)[] | null {
  const value = parseJson(text.slice(Math.max(0, text.indexOf("[{"))));
  return Array.isArray(value) ? value.map(asObject) : null;
}

function toFinding(file: string, message: JsonObject | null): RawFinding {
  const isFatal = message?.["fatal"] === true;
  return {
    rule: textAt(message, "ruleId") ?? (isFatal ? "parse-error" : "eslint"),
    level: isFatal || numberAt(message, "severity") === 2 ? "error" : "warning",
    file,
    range: rangeAt(message, { line: "line", column: "column", endLine: "endLine", endColumn: "endColumn" }),
    message: textAt(message, "message") ?? "",
  };
}
