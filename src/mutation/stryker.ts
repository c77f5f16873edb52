import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import * as z from "zod";
import { firstFile } from "../analysis/adapter.ts";
import { parseJson } from "../shared/json-fields.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { openProject, trustOf } from "../tool-runner/project-folder.ts";
import { runTool } from "../tool-runner/run-tool.ts";
import type { HostContext } from "../local-mcp/host/host.ts";
import { Duration, File } from "../contract/machine/forms.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { inCommit } from "../transform/worktree.ts";
import { workDeps } from "../worker-runner/worktrees.ts";
import { findTarget, type WorkTarget } from "../worker-runner/work-git.ts";

/** A change that no test noticed. Line and column count from 1. */
export interface Survivor {
  readonly line: number;
  readonly column: number;
  readonly operator: string;
  readonly before: string;
  readonly after: string;
}

const statuses = {
  Killed: "killed",
  Timeout: "timeout",
  Survived: "survived",
  NoCoverage: "survived",
  CompileError: "invalid",
  RuntimeError: "invalid",
} as const;

export interface FileMutants {
  /** Relative to the package, with `/`. */
  readonly file: string;
  /** Those that Stryker ignored are left out. */
  readonly counts: Readonly<Record<(typeof statuses)[keyof typeof statuses], number>>;
  /** In the order of their positions. */
  readonly survivors: readonly Survivor[];
}

const Position = z.object({ line: z.int().min(1), column: z.int().min(1) });
const Mutant = z.object({
  mutatorName: z.string(),
  replacement: z.string().default(""),
  status: z.string(),
  location: z.object({ start: Position, end: Position }),
});
/** mutation-testing-report-schema, of which this reads what all versions have. */
const Report = z.object({ files: z.record(z.string(), z.object({ source: z.string(), mutants: z.array(Mutant) })) });

/** [MU6] Pure. */
export function parseReport(text: string, files: readonly string[]): Result<FileMutants[], string> {
  const json = parseJson(text);
  if (json === undefined) return err("Stryker's report is no JSON");
  const report = Report.safeParse(json);
  if (!report.success) return err("Stryker's report has another form than mutation-testing-report-schema");
  return ok(
    files.map((file) => {
      const { source, mutants } = report.data.files[file] ?? { source: "", mutants: [] };
      const counts = { killed: 0, timeout: 0, survived: 0, invalid: 0 };
      const survivors: Survivor[] = [];
      const lines = source.split(/(?<=\n)/);
      const offset = ({ line, column }: z.infer<typeof Position>): number =>
        lines.slice(0, line - 1).join("").length + column - 1;
      for (const { mutatorName: operator, replacement: after, status, location } of mutants) {
        const known = statuses[status as keyof typeof statuses] as keyof typeof counts | undefined;
        if (known === undefined) continue;
        counts[known]++;
        const before = source.slice(offset(location.start), offset(location.end));
        if (known === "survived") survivors.push({ ...location.start, operator, before, after });
      }
      return { file, counts, survivors: survivors.toSorted((a, b) => a.line - b.line || a.column - b.column) };
    }),
  );
}

const configNames = ["stryker.conf", ".stryker.conf", "stryker.config", ".stryker.config"].flatMap((name) =>
  ["json", "js", "mjs", "cjs"].map((ending) => `${name}.${ending}`),
);
const ownConfig = "stryker.shim.mjs";
const reportFile = "reports/mutation/mutation.json";
const maxWords = 600;

export interface StrykerRun {
  /** Folder of the package, in a copy that is thrown away: Stryker and its tests write in it. */
  readonly folder: string;
  /** Private, deleted with the copy. */
  readonly scratch: string;
  /** Relative to the folder, with `/`. */
  readonly files: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly timeMs: number;
  readonly signal: AbortSignal;
}

/**
 * [MU1] [MU10] Runs the Stryker that the project has installed, by the project's settings: code of
 * the project, so for trusted projects only. The error says why nothing is known.
 */
async function runStryker(run: StrykerRun): Promise<Result<FileMutants[], string>> {
  const { folder, scratch, files } = run;
  const project = openProject(folder);
  const tool = project.findTool("@stryker-mutator/core", "stryker");
  if (tool === null) return err("mutants need a package of the project: npm install --save-dev @stryker-mutator/core");
  if (typeof tool === "string") return err(tool);
  const config = firstFile(project, configNames);
  // JSON is an expression of JavaScript.
  const base = config?.endsWith(".json") ? `const base = ${project.read(config)};` : `import base from "./${config}";`;
  const settings = {
    // Globs, of which no character of a name may count as one.
    mutate: files.map((file) => file.replaceAll(/[?*()[\]]/g, "[$&]")),
    reporters: ["json"],
    jsonReporter: { fileName: reportFile },
  };
  const text = `${config === null ? "const base = {};" : base}\nexport default { ...base, ...${JSON.stringify(settings)} };\n`;
  writeFileSync(join(folder, ownConfig), text);
  rmSync(join(folder, reportFile), { force: true });
  mkdirSync(scratch, { recursive: true });
  const command = { args: ["run", ownConfig, "--logLevel", "warn", "--allowConsoleColors", "false"] };
  const output = await runTool({ ...run, tool, command, hasLoopback: true });
  if (!output.ok) return err(`Stryker ${output.error}`);
  // A share of killed mutants that is below the project's threshold is an exit code, too.
  if (existsSync(join(folder, reportFile))) return parseReport(readFileSync(join(folder, reportFile), "utf8"), files);
  const { code, stdout, stderr } = output.value;
  const words = `${stdout}${stderr}`.trim().slice(0, maxWords);
  return err(`Stryker ended with exit code ${code} and no report: ${words}`);
}

export const MutantsInput = z.strictObject({
  files: z.array(z.string()).min(1),
  timeLimitMs: Duration.min(1_000).max(43_200_000).optional().describe("for all of it (default: 30m)"),
  trust: z.boolean().default(false).describe("run the project's tests, this time"),
  report: File.optional().describe("read a JSON report of Stryker instead, and run nothing"),
});
export type MutantsInput = z.infer<typeof MutantsInput>;

const defaultTimeMs = 1_800_000;

/** Printed as JSON: fields are only added. */
export interface MutantsReport {
  readonly version: 1;
  readonly folder: string;
  /** Commit that was tried; null: the results are those of a report. */
  readonly commit: string | null;
  readonly files: readonly FileMutants[];
  readonly uncommitted: number;
}

/** [MU31] */
export async function findSurvivors(
  context: HostContext,
  { files: given, report, trust, timeLimitMs: timeMs = defaultTimeMs }: MutantsInput,
  { cwd, signal }: { readonly cwd: string; readonly signal: AbortSignal },
): Promise<Result<MutantsReport, Failure>> {
  const target = await findTarget(context.site.env, cwd, given);
  if (!target.ok) return target;
  const { top, repository, base: commit, uncommitted } = target.value;
  const found = findPackage(target.value);
  if (!found.ok) return found;
  const { prefix, files } = found.value;
  const folder = join(top, prefix);
  if (report !== undefined) {
    if (!existsSync(report)) return fail("bad_input", `there is no report ${report}.`);
    const parsed = parseReport(readFileSync(report, "utf8"), files);
    if (!parsed.ok) return fail("bad_input", `${report}: ${parsed.error}.`);
    return ok({ version: 1, folder, commit: null, files: parsed.value, uncommitted: 0 });
  }
  const trusted = trustOf(context.paths.config, top, trust);
  if (!trusted.ok) return trusted;
  if (!trusted.value)
    return fail(
      "not_trusted",
      "tests run the project's code. --trust allows that this time, and the setting analysis.trusted always.",
    );
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  context.progress?.(`Stryker tries mutants of ${files.join(", ")} at ${commit.slice(0, 12)} ...`);
  return inCommit(deps.value, { top, repository, prefix }, { commit, signal }, async (copy, { folder: own }) => {
    const missing = files.find((file) => !existsSync(join(copy, file)));
    if (missing !== undefined) return fail("not_judged", `${missing} is not in the last commit.`);
    const { env } = context.site;
    const tried = await runStryker({ folder: copy, scratch: join(own, "scratch"), files, env, timeMs, signal });
    if (signal.aborted) return fail("stopped", "it was stopped.");
    if (!tried.ok) return fail("not_judged", `${tried.error}.`);
    return ok({ version: 1, folder, commit, files: tried.value, uncommitted });
  });
}

const sourceExtension = /\.[cm]?[jt]sx?$/;

/** The package that all of the files are in. */
function findPackage({
  top,
  paths,
}: WorkTarget): Result<{ readonly prefix: string; readonly files: readonly string[] }, Failure> {
  const bad = paths.find((path) => !sourceExtension.test(path));
  if (bad !== undefined || paths.length === 0)
    return fail("bad_input", `${bad ?? top} is no file of JavaScript or TypeScript.`);
  const prefixes = [...new Set(paths.map((path) => packageOf(top, path)))];
  const [prefix = null] = prefixes;
  if (prefix === null) return fail("bad_input", `there is no package.json above ${paths[0]} in ${top}.`);
  if (prefixes.length > 1) return fail("bad_input", "the files are of several packages: name those of one.");
  return ok({ prefix, files: [...new Set(paths.map((path) => posix.relative(prefix, path)))] });
}

function packageOf(top: string, path: string): string | null {
  for (let folder = posix.dirname(path); ; folder = posix.dirname(folder)) {
    if (existsSync(join(top, folder, "package.json"))) return folder === "." ? "" : folder;
    if (folder === ".") return null;
  }
}
