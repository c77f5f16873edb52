import { parse } from "jsonc-parser";
import { asObject, listAt } from "../../../shared/json-fields.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import {
  detectTool,
  type Adapter,
  type ParseContext,
  type Parsed,
  type ProjectView,
  type ToolOutput,
  outputProblem,
} from "../adapter.ts";
import type { Level, RawFinding } from "../finding.ts";
import { fallow, jscpd, knip } from "./dead-code.ts";
import { biome, complexity, eslint, oxlint } from "./linters.ts";

const settings = "tsconfig.json";

/** The project's own `tsc`; a project of references is built as `tsc -b` does. */
export const tsc: Adapter = {
  name: "tsc",
  kinds: ["types"],
  detect: (project) => {
    if (project.read(settings) === null) return null;
    return detectTool(project, { packageName: "typescript", program: "tsc", setUp: `there is a ${settings}` });
  },
  command: ({ project, scratch }) => {
    if (hasReferences(project)) return { args: ["-b", "--pretty", "false"] };
    const buildInfo = ["--incremental", "--tsBuildInfoFile", `${scratch}/tsbuildinfo`];
    return { args: ["--noEmit", "--pretty", "false", "-p", settings, ...buildInfo] };
  },
  parse: parseTsc,
};

function hasReferences(project: ProjectView): boolean {
  return listAt(asObject(parse(project.read(settings) ?? "")), "references").length > 0;
}

const diagnostic = /^(?:(.+?)\((\d+),(\d+)\): )?(error|warning|message|info) (TS\d+): (.*)$/;
const levels: Readonly<Record<string, Level>> = { error: "error", warning: "warning" };
/** Ended by a signal, or by a crash of the program itself. */
const lastOwnCode = 5;

function parseTsc(output: ToolOutput, { toFile }: ParseContext): Result<Parsed, string> {
  const findings: RawFinding[] = [];
  for (const line of output.stdout.split(/\r?\n/)) {
    const found = parseLine(line, toFile);
    const last = findings.at(-1);
    if (found !== null) findings.push(found);
    // Details follow a message in indented lines.
    else if (last && /^\s+\S/.test(line))
      findings.splice(-1, 1, { ...last, message: `${last.message} ${line.trim()}` });
  }
  const isReport = output.code <= lastOwnCode && (output.code === 0 || findings.length > 0);
  return isReport ? ok({ findings }) : err(outputProblem(output));
}

function parseLine(line: string, toFile: (path: string) => string): RawFinding | null {
  const [, file = settings, row, column, level = "", rule, message = ""] = diagnostic.exec(line) ?? [];
  if (rule === undefined) return null;
  const range = row === undefined ? null : { line: Number(row), column: Number(column) };
  return { rule, level: levels[level] ?? "note", file: toFile(file), range, message };
}

/** The tool that comes first names a finding that several report. */
export const adapters: readonly Adapter[] = [tsc, eslint, oxlint, biome, complexity, knip, fallow, jscpd];
