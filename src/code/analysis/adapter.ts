import type { Result } from "../../shared/result.ts";
import type { RawFinding } from "./finding.ts";

export const toolNames = ["tsc", "eslint", "oxlint", "biome", "complexity", "knip", "fallow", "jscpd"] as const;
export type ToolName = (typeof toolNames)[number];

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
  | {
      readonly kind: "ready";
      readonly tool: InstalledTool;
      /** How the project's own code would run or write; null: it cannot. */
      readonly risk: string | null;
    }
  /** The project is set up for the tool, which cannot be started. */
  | { readonly kind: "missing"; readonly why: string };

export interface CommandContext {
  readonly project: ProjectView;
  readonly isTrusted: boolean;
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

export interface FileComplexity {
  readonly file: string;
  /** Sum of the cyclomatic complexity of the functions that have a branch. */
  readonly complexity: number;
}

export interface Parsed {
  readonly findings: readonly RawFinding[];
  readonly complexity?: readonly FileComplexity[];
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
  readonly risk: string | null;
}

export function detectTool(
  project: ProjectView,
  { packageName, program = packageName, setUp, risk }: Needed,
): Detection | null {
  const tool = project.findTool(packageName, program);
  if (typeof tool === "string") return { kind: "missing", why: tool };
  if (tool !== null) return { kind: "ready", tool, risk };
  if (setUp === null) return null;
  return { kind: "missing", why: `${setUp}, but ${packageName} is not installed in node_modules` };
}
