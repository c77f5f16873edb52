import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, posix, sep } from "node:path";
import * as z from "zod";
import type { InstalledTool, ProjectView } from "../analysis/adapter.ts";
import { hasReferences, tsc } from "../analysis/adapters/adapters.ts";
import { Finding } from "../analysis/finding.ts";
import { Hotspot, ToolRun } from "../analysis/report.ts";
import { parseObject } from "../shared/json-fields.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { displayPath, rawList } from "../snapshots/git.ts";
import { analyze } from "../tool-runner/analyze.ts";
import { openProject, projectPath } from "../tool-runner/project-folder.ts";
import { defaultTimeMs, runTool } from "../tool-runner/run-tool.ts";
import { inCommit, type RepositoryProject } from "../transform/worktree.ts";
import type { WorkDeps } from "../worker-runner/worktrees.ts";
import { Coverage, measureTests, TestState, type TestsOptions } from "./tests.ts";

/** [EV3] One commit of a project, as the judge compares it. */
export const Measured = z.object({
  commit: z.string(),
  tools: z.array(ToolRun.pick({ name: true, status: true, why: true })),
  findings: z.array(Finding),
  hotspots: z.array(Hotspot),
  tests: TestState,
  /** Null where it cannot be measured, for the reason in `notes`. */
  coverage: Coverage.nullable(),
  /** Null where nothing is public, or it cannot be measured. */
  api: z.array(z.string()).nullable(),
  testFiles: z.array(z.string()),
  notes: z.array(z.string()),
});
export type Measured = z.infer<typeof Measured>;

export interface MeasureDeps extends WorkDeps {
  readonly monotonic: () => number;
}

export interface MeasureRequest extends Pick<TestsOptions, "tests" | "runs" | "limitMs" | "signal"> {
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
    const { commit, signal, ...rest } = request;
    const report = await analyze({ ...deps, folder, isTrusted: true, signal });
    if (!report.ok) return report;
    const below = project.prefix === "" ? "" : `${project.prefix}/`;
    const tracked = await rawList(worktree.git(signal), ["ls-files", "-z"]);
    const paths = tracked.map(displayPath).filter((path) => path.startsWith(below));
    const files = paths.map((path) => path.slice(below.length));
    const measured = await measureTests({ ...rest, folder, files, scratch, env: deps.env, signal });
    if (!measured.ok) return measured;
    const api = await measureApi({ env: deps.env, folder, scratch, signal });
    if (signal.aborted) return err("stopped before it was done");
    const { tools, findings, hotspots } = report.value;
    const { notes, ...counted } = measured.value;
    const states = tools.map(({ name, status, why }) => ({ name, status, why }));
    return ok({ commit, tools: states, findings, hotspots, ...counted, api: api.api, notes: [...notes, ...api.notes] });
  });
}

type Emission = Pick<TestsOptions, "folder" | "scratch" | "env" | "signal">;

/** [EV6] Declarations as the project's own compiler writes them. */
async function measureApi(emission: Emission): Promise<Pick<Measured, "api" | "notes">> {
  const project = openProject(emission.folder);
  const named = namedEntries(parseObject(project.read("package.json") ?? "") ?? {});
  const entries = named.length > 0 ? named : usualEntries.filter((path) => project.read(path) !== null);
  if (entries.length === 0) return notMeasured("package.json names no entry");
  const detected = tsc.detect(project);
  if (detected.kind !== "ready") return notMeasured(detected.why);
  const files = await emitDeclarations(detected.tool, project, emission);
  if (!files.ok) return notMeasured(files.error);
  const found = findEntries(entries, new Set(files.value.keys()));
  return {
    api: publicApi(files.value, found ?? [...files.value.keys()]),
    notes: found ? [] : [`The whole of the declarations is compared: ${entries.join(", ")} leads to no single one.`],
  };
}

function notMeasured(why: string): Pick<Measured, "api" | "notes"> {
  return { api: null, notes: [`The public API is not compared: ${why}.`] };
}

type Declarations = Result<ReadonlyMap<string, string>, string>;

/** Texts by path. A solution, which has no files of its own, is built in the worktree. */
async function emitDeclarations(tool: InstalledTool, project: ProjectView, emission: Emission): Promise<Declarations> {
  const { folder, scratch } = emission;
  // Files beside the project are written beside the folder of the output.
  const out = join(scratch, "a", "b", "c", "declarations");
  mkdirSync(out, { recursive: true });
  const switches = ["--noEmit", "--composite", "--incremental", "--declarationMap", "--noEmitOnError"];
  const off = switches.flatMap((name) => [name, "false"]);
  const args = ["--project", "tsconfig.json", "--declaration", "--emitDeclarationOnly", ...off];
  const output = await compile(tool, emission, [...args, "--rootDir", ".", "--outDir", out]);
  const written = readdirSync(out, { recursive: true, encoding: "utf8" }).filter((path) => isDeclaration.test(path));
  if (written.length > 0)
    return ok(new Map(written.map((path) => [path.split(sep).join("/"), readFileSync(join(out, path), "utf8")])));
  if (!hasReferences(project)) return output.ok ? err("the compiler wrote no declarations") : output;
  const built = await compile(tool, emission, ["-b", "--force", "--listEmittedFiles", "--pretty", "false"]);
  if (!built.ok) return built;
  const paths = [...built.value.stdout.matchAll(/^TSFILE: (.+\.d\.[cm]?ts)\r?$/gm)].map(([, path = ""]) => path);
  if (paths.length === 0)
    return err("none of its projects writes declarations: they have neither composite nor declaration");
  return ok(new Map(paths.map((path) => [projectPath(folder, path), readFileSync(path, "utf8")])));
}

const isDeclaration = /\.d\.[cm]?ts$/;

function compile(tool: InstalledTool, emission: Emission, args: readonly string[]): ReturnType<typeof runTool> {
  return runTool({ ...emission, tool, command: { args }, timeMs: defaultTimeMs });
}

/**
 * [EV6] Pure. Statements of the declaration files that the entries lead to, sorted. Those of files
 * whose exports users get as a whole begin with `public`.
 *
 * @param files declaration files by path
 * @param entries paths of declaration files
 */
export function publicApi(files: ReadonlyMap<string, string>, entries: readonly string[]): string[] {
  /** Whether users get all exports, by path. */
  const reached = new Map<string, boolean>();
  const visit = (path: string, isOpen: boolean): void => {
    if (reached.get(path) === true || (reached.has(path) && !isOpen)) return;
    reached.set(path, isOpen);
    for (const line of (files.get(path) ?? "").split("\n"))
      for (const [, specifier = ""] of line.matchAll(/"(\.[^"]*)"/g)) {
        const target = resolveModule(files, path, specifier);
        if (target !== null) visit(target, isOpen && line.includes("export *"));
      }
  };
  for (const path of entries) visit(path, true);
  const texts = [...reached].flatMap(([path, isOpen]) => {
    const statements = statementsOf(files.get(path) ?? "").filter((text) => !text.startsWith("import "));
    return statements.map((text) => (isOpen ? `public ${text}` : text));
  });
  return [...new Set(texts)].toSorted();
}

/** Declaration files have each statement at the start of a line. */
function statementsOf(text: string): string[] {
  const bare = text.replaceAll(/\/\*[\s\S]*?(?:\*\/|$)/g, "").replaceAll(/^[ \t]*\/\/.*$/gm, "");
  const statements = bare.split(/\n(?=[a-z])/).map((one) => one.trim().replaceAll(/\s+/g, " "));
  return statements.filter((one) => one !== "" && one !== "export {};");
}

/** @returns null: a package */
function resolveModule(files: ReadonlyMap<string, string>, from: string, specifier: string): string | null {
  const path = posix.join(posix.dirname(from), specifier);
  const bare = path.replace(/(?:\.d)?\.([cm]?)[jt]sx?$/, "");
  return [bare, path, posix.join(path, "index")].flatMap(declarationFiles).find((name) => files.has(name)) ?? null;
}

function declarationFiles(path: string): string[] {
  return [`${path}.d.ts`, `${path}.d.mts`, `${path}.d.cts`];
}

const emittedFolders = ["", "src/", "lib/", "source/"];

/**
 * Maps what a package.json names (`dist/index.js`, `src/index.ts`) to emitted declarations, which
 * mirror the sources.
 *
 * @returns null where a name leads to none
 */
export function findEntries(named: readonly string[], emitted: ReadonlySet<string>): string[] | null {
  const found = named.map((name) => {
    const path = posix.normalize(name).replace(/(?:\.d)?\.[cm]?[jt]sx?$/, "");
    const rests = path.split("/").map((_, at, parts) => parts.slice(at).join("/"));
    const paths = [path, ...rests.slice(1).flatMap((rest) => emittedFolders.map((folder) => folder + rest))];
    return paths.flatMap(declarationFiles).find((one) => emitted.has(one));
  });
  return found.every((path) => path !== undefined) ? [...new Set(found)] : null;
}

/** Files that a package.json opens to users; without any, the usual main files. */
export function namedEntries(manifest: Readonly<Record<string, unknown>>): string[] {
  const { exports, types, typings, main, module } = manifest;
  const leaves = stringsIn([exports, types, typings, main, module]);
  return [...new Set(leaves.filter((path) => /\.[cm]?[jt]sx?$/.test(path)))];
}

const usualEntries = ["index.ts", "src/index.ts", "src/main.ts"];

function stringsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}
