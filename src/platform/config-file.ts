import { readFileSync } from "node:fs";
import { parse, type ParseError, printParseErrorCode } from "jsonc-parser";
import type * as z from "zod/mini";
import { configSchema, defaults, type Config } from "../contract/config.ts";
import { codeOf } from "../shared/error.ts";
import { err, ok, type Result } from "../shared/result.ts";

export function readConfig(path: string): Result<Config, string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = codeOf(error);
    return code === "ENOENT" ? ok(defaults) : err(`${path}: cannot be read (${String(code)})`);
  }
  return parseConfig(text.replace(/^\uFEFF/, ""), path);
}

export function parseConfig(text: string, path: string): Result<Config, string> {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first) return err(`${path}: not valid JSON: ${formatJsonProblem(text, first)}`);
  const parsed = configSchema().safeParse(value ?? {});
  return parsed.success ? ok(parsed.data) : err(`${path}: ${parsed.error.issues.map(formatIssue).join("; ")}`);
}

/** zod/mini has no messages of its own. */
function formatIssue(issue: z.core.$ZodIssue): string {
  const name = issue.path.join(".") || "the file";
  if (issue.code === "unrecognized_keys") {
    return `there is no setting ${issue.keys.map((key) => [...issue.path, key].join(".")).join(", ")}`;
  }
  if (issue.code === "invalid_value") return `${name} must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "invalid_type") return `${name} must be of type ${issue.expected}`;
  if (issue.code === "too_big") return `${name} must be at most ${issue.maximum}`;
  if (issue.code === "too_small")
    return `${name} must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
  if (issue.code === "custom") return `${name}: ${issue.message}`;
  if (issue.code === "invalid_union") {
    const [nearest = []] = issue.errors.toSorted((one, other) => one.length - other.length);
    return nearest.map((inner) => formatIssue({ ...inner, path: [...issue.path, ...inner.path] })).join("; ");
  }
  return `${name} is not valid`;
}

/** The problem of a JSON text in words, with line and column. */
export function formatJsonProblem(text: string, problem: ParseError): string {
  return `${formatErrorCode(problem)} at ${formatPosition(text, problem.offset)}`;
}

function formatErrorCode({ error }: ParseError): string {
  const words = printParseErrorCode(error).replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`);
  return words.toLowerCase().replace("close ", "closing ");
}

export function formatPosition(text: string, offset: number): string {
  const lines = text.slice(0, offset).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
}
