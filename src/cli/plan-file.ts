import type * as z from "zod";
import { readYaml, type YamlProblem, type YamlText } from "../platform/read-yaml.ts";
import { ok, type Result } from "../shared/result.ts";
import { formatIssues } from "../shared/bad-input.ts";
import { checkJsonShape } from "../shared/check-input.ts";
import { wrongUsage } from "./answer.ts";
import type { Cli } from "./cli.ts";
import { readTextFile } from "./option-values.ts";

interface ExpectedInput<Schema extends z.ZodType> {
  readonly schema: Schema;
  readonly form: string;
  readonly name: string;
  readonly maxChars: number;
}

const maxShownProblems = 10;

/** Reads YAML or JSON as written: the coordinator adds defaults. */
export function readInputFile<Schema extends z.ZodType>(
  cli: Cli,
  file: string,
  what: string,
  expected: ExpectedInput<Schema>,
): Result<z.input<Schema>> {
  const text = readTextFile(cli, file, what, expected.maxChars);
  if (!text.ok) return text;
  const read = readYaml(text.value);
  if (!read.ok) return wrongUsage(`${file}, line ${read.error.line}: ${read.error.message}.`);
  const problem = findProblem(file, read.value, expected);
  // The value passed the schema, so it is the schema's input.
  return problem === null ? ok(read.value.value as z.input<Schema>) : wrongUsage(problem);
}

const maxSettingsChars = 1_048_576;

/** Reads settings with their defaults. @param form such as "settings of a worker" */
export function readSettings<Schema extends z.ZodType>(
  cli: Cli,
  file: string,
  schema: Schema,
  form: string,
): Result<z.output<Schema>> {
  const expected = { schema, form, name: "the settings", maxChars: maxSettingsChars };
  const read = readInputFile(cli, file, `the ${form}`, expected);
  return read.ok ? ok(schema.parse(read.value)) : read;
}

function findProblem<Schema extends z.ZodType>(
  file: string,
  plan: YamlText,
  { schema, form, name }: ExpectedInput<Schema>,
): string | null {
  const misshapen = checkJsonShape(plan.value);
  if (misshapen) return `${file}: ${misshapen.message}.`;
  const checked = schema.safeParse(plan.value);
  if (checked.success) return null;
  const { issues } = checked.error;
  if (issues.some(({ code, path }) => code === "invalid_type" && path.length === 0)) return `${file} holds no ${form}.`;
  return `${file}: ${problems(plan, issues, name)}.`;
}

function problems(plan: YamlText, issues: readonly z.core.$ZodIssue[], name: string): string {
  const all = issues.map((issue) => toProblem(plan, issue, name)).toSorted((a, b) => a.line - b.line);
  const shownProblems = all
    .slice(0, maxShownProblems)
    .map(({ line, message }) => (line === 0 ? message : `line ${line}: ${message}`));
  return `${shownProblems.join("; ")}${all.length > maxShownProblems ? `; and ${all.length - maxShownProblems} more` : ""}`;
}

function toProblem(plan: YamlText, issue: z.core.$ZodIssue, name: string): YamlProblem {
  const [first] = issue.path;
  // The line already identifies the item of a list.
  const field = Array.isArray(plan.value) ? issue.path.slice(1) : issue.path;
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
  const isWhole = first === undefined && issue.code !== "unrecognized_keys";
  const message = formatIssues({ issues: [{ ...issue, path: isWhole ? [name] : field }] });
  return { line: isWhole ? 0 : plan.lineOf(path), message };
}
