import { closeSync, existsSync, openSync, readFileSync, readSync, realpathSync, statSync } from "node:fs";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Detection, InstalledTool, ProjectView } from "../analysis/adapter.ts";
import { readConfig } from "../../platform/config-file.ts";
import { fail, type Failure } from "../../shared/failure.ts";
import { objectAt, parseObject, textAt } from "../../shared/json-fields.ts";
import { ok, type Result } from "../../shared/result.ts";

/** Larger files are none that tools are configured by, and none with readable findings. */
const maxFileBytes = 10_000_000;

/** @param root absolute, without symbolic links */
export function openProject(root: string): ProjectView {
  return {
    root,
    read: (path) => readText(join(root, path)),
    findTool: (packageName, program) => findTool(root, packageName, program),
  };
}

/** Another state of the same project, with the tools that are installed for this one. */
export function openCopy(project: ProjectView, root: string): ProjectView {
  return { ...openProject(root), findTool: project.findTool };
}

/** A pipe or a device would block. */
function readText(path: string): string | null {
  try {
    const stat = statSync(path);
    return stat.isFile() && stat.size <= maxFileBytes ? readFileSync(path, "utf8") : null;
  } catch {
    return null;
  }
}

/** `node_modules` of the folder and of those above it, up to the repository's. */
function* modulesAbove(root: string): Generator<string> {
  const owner = statSync(root).uid;
  for (let folder = root; ; folder = dirname(folder)) {
    const modules = join(folder, "node_modules");
    // In a folder that many users share, another user may have made one.
    if (statSync(modules, { throwIfNoEntry: false })?.uid === owner) yield modules;
    if (existsSync(join(folder, ".git")) || dirname(folder) === folder) return;
  }
}

function findTool(root: string, packageName: string, program: string): InstalledTool | string | null {
  for (const modules of modulesAbove(root)) {
    const found = toolIn(modules, packageName, program);
    if (found !== null) return found;
  }
  return null;
}

/** Finds a package without a program, in the same folders. */
export function detectLibrary(from: string, packageName: string, risk: string): Detection {
  for (const modules of modulesAbove(from)) {
    const library = join(modules, packageName);
    const manifest = readText(join(library, "package.json"));
    if (manifest === null) continue;
    const version = textAt(parseObject(manifest), "version");
    return { kind: "ready", tool: { path: realpathSync(library), isScript: true, version }, risk };
  }
  return { kind: "missing", why: `the codemod is for ${packageName}, which is not installed in node_modules` };
}

function toolIn(modules: string, packageName: string, program: string): InstalledTool | string | null {
  const entry = programFile(modules, packageName, program);
  if (entry === null) return null;
  let path: string;
  try {
    path = realpathSync(entry);
  } catch {
    return `${entry} leads to no file`;
  }
  if (!path.split(sep).includes("node_modules")) return `${entry} leads out of node_modules, to ${path}`;
  return { path, isScript: isScript(path), version: versionOf(path, packageName) };
}

/** File that a package names; what package managers write into `.bin` is not read. */
function programFile(modules: string, packageName: string, program: string): string | null {
  const folder = join(modules, packageName);
  const manifest = parseObject(readText(join(folder, "package.json")) ?? "");
  const own = textAt(objectAt(manifest, "bin"), program) ?? textAt(manifest, "bin");
  return own === null ? null : join(folder, own);
}

function isScript(path: string): boolean {
  if ([".js", ".mjs", ".cjs"].includes(extname(path))) return true;
  const bytes = Buffer.alloc(256);
  const file = openSync(path, "r");
  try {
    const [firstLine = ""] = bytes.toString("latin1", 0, readSync(file, bytes)).split("\n");
    return /^#!.*\bnode\b/.test(firstLine);
  } finally {
    closeSync(file);
  }
}

function versionOf(path: string, packageName: string): string | null {
  for (let folder = dirname(path); dirname(folder) !== folder; folder = dirname(folder)) {
    const manifest = parseObject(readText(join(folder, "package.json")) ?? "");
    if (manifest?.["name"] === packageName) return textAt(manifest, "version", 100);
  }
  return null;
}

/** Maps a tool's path, absolute or relative to the folder, to one relative to it with `/`. */
export function projectPath(root: string, path: string): string {
  const plain = path.startsWith("file://") ? fileURLToPath(path) : path;
  return relative(root, resolve(root, plain)).split(sep).join("/");
}

/** The `node_modules` of the project that a program is in. */
export function modulesOf({ path }: InstalledTool): string {
  const parts = path.split(sep);
  return parts.slice(0, parts.indexOf("node_modules") + 1).join(sep);
}

/** Whether its code may run: by a person this time, or by the setting. */
export function trustOf(configFile: string, folder: string, isGiven: boolean): Result<boolean, Failure> {
  if (isGiven) return ok(true);
  const config = readConfig(configFile);
  return config.ok ? ok(isTrusted(folder, config.value.analysis.trusted)) : fail("bad_config", config.error);
}

/** A folder is trusted with all folders below it. */
export function isTrusted(folder: string, trusted: readonly string[]): boolean {
  return trusted.some((one) => {
    const path = existsSync(one) ? realpathSync(one) : one;
    return folder === path || folder.startsWith(path.endsWith(sep) ? path : `${path}${sep}`);
  });
}
