import { oneLine } from "../../shared/format.ts";
import { numberAt, parseObject, type JsonObject } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { type Result, err, ok } from "../../shared/result.ts";
import type { RawFinding, Range, ToolName } from "./finding.ts";

/** Subjects that a project should be analysed for. */
export const kinds = ["types", "lint", "complexity", "duplicates", "dead code"] as const;
export type Kind = (typeof kinds)[number];

export interface InstalledTool {
  /** Absolute. */
  readonly path: string;
  /** Run by Node instead of by itself. */
  readonly isScript: boolean;
  readonly version: string | null;
}

/** Read access to the folder that is analysed. Paths are relative to it. */
export interface ProjectView {
  /** Absolute, without symbolic links. */
  readonly root: string;
  readonly read: (path: string) => string | null;
  /** A text: why what is installed is not started. Null: nothing is installed. */
  readonly findTool: (packageName: string, program: string) => InstalledTool | string | null;
}

export type Detection =
  | { readonly kind: "ready"; readonly tool: InstalledTool }
  /** The project is set up for the tool, which cannot be started. */
  | { readonly kind: "missing"; readonly why: string };

export interface CommandContext {
  readonly project: ProjectView;
  /** Private folder of this run, deleted after it. */
  readonly scratch: string;
  /** Writes a file into the scratch folder. @returns its path */
  readonly writeScratch: (name: string, text: string) => string;
}

export interface ToolOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ParseContext {
  readonly project: ProjectView;
  /** Absolute or relative path of a tool to a path in the project. */
  readonly toFile: (path: string) => string;
  /** Tools that run in the same analysis. */
  readonly selected: readonly ToolName[];
}

export interface Parsed {
  readonly findings: readonly RawFinding[];
}

export interface ToolCommand {
  readonly args: readonly string[];
  /** Name in the scratch folder where the tool writes its report; else stdout. */
  readonly reportFile?: string;
}

export interface Adapter {
  readonly name: ToolName;
  readonly kinds: readonly Kind[];
  /** Installation of the tool; null: the project does not use it. */
  readonly detect: (project: ProjectView) => Detection | null;
  readonly command: (context: CommandContext) => ToolCommand;
  /** The error says why the output is no report. */
  readonly parse: (output: ToolOutput, context: ParseContext) => Result<Parsed, string>;
}

export function firstFile(project: ProjectView, names: readonly string[]): string | null {
  return names.find((name) => project.read(name) !== null) ?? null;
}

interface Needed {
  readonly packageName: string;
  /** Default: of the same name. */
  readonly program?: string;
  /** Why it is expected here; null: nothing says that the project uses it. */
  readonly setUp: string | null;
}

export function detectTool(
  project: ProjectView,
  { packageName, program = packageName, setUp }: Needed,
): Detection | null {
  const tool = project.findTool(packageName, program);
  if (typeof tool === "string") return { kind: "missing", why: tool };
  if (tool !== null) return { kind: "ready", tool };
  if (setUp === null) return null;
  return { kind: "missing", why: `${setUp}, but ${packageName} is not installed in node_modules` };
}

/** Names of the fields of a range; `columnOffset` is added to columns that count from 0. */
interface RangeFields {
  readonly line: string;
  readonly column?: string;
  readonly endLine?: string;
  readonly columnOffset?: number;
}

/** @returns null where the report has no line, or line 0 for the file as a whole */
export function rangeAt(from: JsonObject | null, fields: RangeFields): Range | null {
  const line = numberAt(from, fields.line);
  if (!line) return null;
  const column = fields.column === undefined ? null : numberAt(from, fields.column);
  const endLine = fields.endLine === undefined ? undefined : numberAt(from, fields.endLine) || undefined;
  // A finding becomes the payload of a task, and an undefined field is no JSON.
  return {
    line,
    ...omitUndefined({
      column: column === null ? undefined : column + (fields.columnOffset ?? 0) || undefined,
      endLine,
    }),
  };
}

const maxWords = 300;

/** Why a tool's output is no report, in its own words. */
export function outputProblem({ code, stdout, stderr }: ToolOutput): string {
  const text = oneLine(stderr.trim() || stdout.trim(), maxWords);
  return text === "" ? `exit code ${code} without a report` : `exit code ${code}: ${text}`;
}

/** Parses an object of JSON. 1: there are findings. Some tools print notices before the report. */
export function parseReport(output: ToolOutput): Result<JsonObject, string> {
  const { code, stdout } = output;
  const report = code <= 1 ? parseObject(stdout.slice(Math.max(0, stdout.indexOf("{")))) : null;
  return report === null ? err(outputProblem(output)) : ok(report);
}
