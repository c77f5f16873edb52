import { readdirSync } from "node:fs";
import { join, posix } from "node:path";
import * as z from "zod";
import type { ProjectView } from "../analysis/adapter.ts";
import { sourceExtension } from "./ast-grep.ts";

const Names = z.record(z.string(), z.string()).catch({});
const Manifest = z.looseObject({
  type: z.string().optional().catch(undefined),
  scripts: Names.default({}),
  /** Only those with one target for all conditions. */
  imports: z.record(z.string(), z.unknown()).catch({}).default({}),
  dependencies: Names.default({}),
  devDependencies: Names.default({}),
});
type Manifest = z.infer<typeof Manifest>;

/** Paths are relative to the root, with `/`. */
export interface Project extends ProjectView {
  readonly manifest: Manifest;
  readonly testFiles: readonly string[];
  /** Empty for a file that is missing. */
  readonly read: (path: string) => string;
}

const ignoredFolders = new Set(["node_modules", "dist", "build", "coverage", "fixtures"]);
const testName = /(?:[.\-_](?:test|spec)|(?:^|\/)test)\.[cm]?[jt]sx?$/;
const testFolder = /(?:^|\/)(?:tests?|specs?|__tests__)\//;

/** @throws {Error} where package.json is no JSON */
export function readProject(view: ProjectView): Project {
  const read = (path: string): string => view.read(path) ?? "";
  const manifest = Manifest.parse(JSON.parse(read("package.json") || "{}"));
  const testFiles = listSources(view.root, "").filter(
    (file) => testName.test(file) || (testFolder.test(file) && hasTests(read(file))),
  );
  return { ...view, manifest, testFiles, read };
}

function hasTests(text: string): boolean {
  return /^[ \t]*(?:test|it|describe)(?:\.\w+)*\(/m.test(text);
}

function listSources(root: string, folder: string): string[] {
  const entries = readdirSync(join(root, folder), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isFile()) return sourceExtension.test(path) && !path.endsWith(".d.ts") ? [path] : [];
    if (!entry.isDirectory() || entry.name.startsWith(".") || ignoredFolders.has(entry.name)) return [];
    return listSources(root, path);
  });
}

/** Test files that import the file itself. */
export function testsOf(project: Project, file: string): string[] {
  return project.testFiles.filter((test) => specifierOf(project, test, file) !== null);
}

const projectImport = /(?:from|import|require)\s*(?:\(\s*)?["']([.#][^"']*)["']/g;

/** Specifiers of files of the project. */
export function projectImports(text: string): string[] {
  return [...text.matchAll(projectImport)].map(([, specifier = ""]) => specifier);
}

/** Path that a specifier stands for, perhaps without its extension; null: none of the project. */
export function resolveImport({ manifest }: Pick<Project, "manifest">, from: string, specifier: string): string | null {
  if (specifier.startsWith(".")) return posix.join(posix.dirname(from), specifier);
  for (const [pattern, target] of Object.entries(manifest.imports)) {
    const [start = "", end] = pattern.split("*");
    const isMatch = end === undefined ? specifier === pattern : specifier.startsWith(start) && specifier.endsWith(end);
    if (!isMatch || typeof target !== "string") continue;
    const middle = end === undefined ? "" : specifier.slice(start.length, specifier.length - end.length);
    return posix.normalize(target.replace("*", () => middle));
  }
  return null;
}

/** How one file imports another; null: it does not. */
export function specifierOf(project: Project, from: string, to: string): string | null {
  const target = withoutExtension(to);
  const isTarget = (specifier: string): boolean => {
    const path = resolveImport(project, from, specifier);
    return path !== null && [withoutExtension(path), posix.join(path, "index")].includes(target);
  };
  return projectImports(project.read(from)).find(isTarget) ?? null;
}

export function withoutExtension(path: string): string {
  return path.replace(sourceExtension, "");
}
