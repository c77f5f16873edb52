import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import type { InstalledTool, ProjectView } from "../analysis/adapter.ts";
import { hasReferences, tsc } from "../analysis/adapters/tsc.ts";
import type { RunTests } from "../mutation/run-tests.ts";
import { parseObject } from "../shared/json-fields.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { analyze, defaultMemoryMb, defaultTimeMs } from "../tool-runner/analyze.ts";
import { probeIsolation } from "../tool-runner/isolation.ts";
import { openProject, projectPath } from "../tool-runner/project-folder.ts";
import { runTool } from "../tool-runner/run-tool.ts";
import { inCommit, type RepositoryProject } from "../transform/in-commit.ts";
import type { WorkDeps } from "../worker-runner/work-deps.ts";
import { measureTests, type TestsOptions } from "./measure-tests.ts";
import type { Measured } from "./measured.ts";
import { findEntries, namedEntries, publicApi, usualEntries } from "./public-api.ts";

export interface MeasureDeps extends WorkDeps {
  readonly monotonic: () => number;
  readonly runTests: RunTests;
}

export interface MeasureRequest extends Omit<TestsOptions, "folder" | "scratch"> {
  readonly commit: string;
}

/** [EV3] Runs the project's tools and tests on a commit, in a throwaway worktree. */
export async function measure(
  deps: MeasureDeps,
  project: RepositoryProject,
  request: MeasureRequest,
): Promise<Result<Measured, string>> {
  return inCommit(deps, project, request, async (folder, worktree) => {
    const scratch = join(worktree.folder, "reports");
    mkdirSync(scratch, { recursive: true });
    const { tests, runs, limitMs, signal, commit } = request;
    const report = await analyze({ ...analysisOptions(deps, folder, signal), only: null });
    if (!report.ok) return report;
    const measured = await measureTests(deps.runTests, { folder, scratch, tests, runs, limitMs, signal });
    if (!measured.ok) return measured;
    const api = await emitApi(deps, folder, scratch, signal);
    if (signal.aborted) return err("stopped before it was done");
    const { tools, findings, hotspots } = report.value;
    const { notes, ...counted } = measured.value;
    const states = tools.map(({ name, status, why }) => ({ name, status, why }));
    return ok({ commit, tools: states, findings, hotspots, ...counted, api: api.api, notes: [...notes, ...api.notes] });
  });
}

export function analysisOptions(
  { env, now, monotonic }: Pick<MeasureDeps, "env" | "now" | "monotonic">,
  folder: string,
  signal: AbortSignal,
): Omit<Parameters<typeof analyze>[0], "only"> {
  const limits = { timeMs: defaultTimeMs, memoryMb: defaultMemoryMb, isTrusted: true };
  return { folder, ...limits, since: null, baseline: null, env, now, monotonic, signal };
}

interface Api {
  readonly api: string[] | null;
  readonly notes: readonly string[];
}

const notMeasured = "The public API is not compared: ";

/** [EV6] Declarations as the project's own compiler writes them. */
async function emitApi(
  deps: Pick<MeasureDeps, "env">,
  folder: string,
  scratch: string,
  signal: AbortSignal,
): Promise<Api> {
  const project = openProject(folder);
  const named = namedEntries(parseObject(project.read("package.json") ?? "") ?? {});
  const entries = named.length > 0 ? named : usualEntries.filter((path) => project.read(path) !== null);
  if (entries.length === 0) return { api: null, notes: [`${notMeasured}package.json names no entry.`] };
  const detected = tsc.detect(project);
  if (detected.kind !== "ready") return { api: null, notes: [`${notMeasured}${detected.why}.`] };
  const emission = { folder, scratch, signal };
  const alone = await emitDeclarations(deps, detected.tool, emission);
  const files = await orOfReferences(alone, project, () => buildDeclarations(deps, detected.tool, emission));
  if (typeof files === "string") return { api: null, notes: [`${notMeasured}${files}.`] };
  const found = findEntries(entries, new Set(files.keys()));
  return {
    api: publicApi(files, found ?? [...files.keys()]),
    notes: found ? [] : [`The whole of the declarations is compared: ${entries.join(", ")} leads to no single one.`],
  };
}

interface Emission {
  readonly folder: string;
  readonly scratch: string;
  readonly signal: AbortSignal;
}

type Declarations = ReadonlyMap<string, string> | string;

/** A solution has no files of its own. */
function orOfReferences(
  alone: Declarations,
  project: ProjectView,
  build: () => Promise<Declarations>,
): Declarations | Promise<Declarations> {
  return typeof alone === "string" && hasReferences(project) ? build() : alone;
}

/** @returns texts by path, or why there are none */
async function emitDeclarations(
  deps: Pick<MeasureDeps, "env">,
  tool: InstalledTool,
  emission: Emission,
): Promise<Declarations> {
  const { scratch } = emission;
  // Files beside the project are written beside the folder of the output.
  const out = join(scratch, "a", "b", "c", "declarations");
  mkdirSync(out, { recursive: true });
  const switches = ["--noEmit", "--composite", "--incremental", "--declarationMap", "--noEmitOnError"];
  const off = switches.flatMap((name) => [name, "false"]);
  const args = ["--project", "tsconfig.json", "--declaration", "--emitDeclarationOnly", ...off];
  const output = await compile(deps, tool, emission, [...args, "--rootDir", ".", "--outDir", out]);
  const files = readDeclarations(out);
  if (files.size > 0) return files;
  return output.ok ? "the compiler wrote no declarations" : output.error;
}

/** A project that only has references is built, in the worktree that is thrown away. */
async function buildDeclarations(
  deps: Pick<MeasureDeps, "env">,
  tool: InstalledTool,
  emission: Emission,
): Promise<Declarations> {
  const { folder } = emission;
  const output = await compile(deps, tool, emission, ["-b", "--force", "--listEmittedFiles", "--pretty", "false"]);
  if (!output.ok) return output.error;
  const paths = [...output.value.stdout.matchAll(/^TSFILE: (.+\.d\.[cm]?ts)\r?$/gm)].map(([, path = ""]) => path);
  if (paths.length === 0)
    return "none of its projects writes declarations: they have neither composite nor declaration";
  return new Map(paths.map((path) => [projectPath(folder, path), readFileSync(path, "utf8")]));
}

function compile(
  { env }: Pick<MeasureDeps, "env">,
  tool: InstalledTool,
  { folder, scratch, signal }: Emission,
  args: readonly string[],
): ReturnType<typeof runTool> {
  return runTool({
    tool,
    command: { args: [...args] },
    folder,
    scratch,
    env,
    isolation: probeIsolation(env["PATH"] ?? ""),
    memoryMb: defaultMemoryMb,
    timeMs: defaultTimeMs,
    signal,
  });
}

function readDeclarations(folder: string): Map<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => /\.d\.[cm]?ts$/.test(path));
  return new Map(paths.map((path) => [path.split(sep).join("/"), readFileSync(join(folder, path), "utf8")]));
}
