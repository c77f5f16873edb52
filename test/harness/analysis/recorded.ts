import { readFileSync } from "node:fs";
import { join } from "node:path";
import { adapters } from "#src/code/analysis/adapters/adapters.ts";
import type {
  InstalledTool,
  Parsed,
  ParseContext,
  ProjectView,
  ToolName,
  ToolOutput,
} from "#src/code/analysis/adapter.ts";

const folder = join(import.meta.dirname, "recorded");

/** Output of a real tool for `recorded/project.json`, whose folder was `/project`. */
export function recorded(name: string): string {
  return readFileSync(join(folder, `${name}.txt`), "utf8");
}

export const sampleFiles = JSON.parse(readFileSync(join(folder, "project.json"), "utf8")) as Record<string, string>;

const aTool: InstalledTool = { path: "/project/node_modules/tool/bin.js", isScript: true, version: "1.0.0" };

/** @param installed packages; all by default */
export function aView(files: Readonly<Record<string, string>>, installed?: readonly string[]): ProjectView {
  return {
    root: "/project",
    read: (path) => files[path] ?? null,
    findTool: (name) => (installed === undefined || installed.includes(name) ? aTool : null),
  };
}

export function parseWith(
  name: ToolName,
  output: Partial<ToolOutput>,
  { files = sampleFiles, installed }: { files?: Record<string, string>; installed?: readonly string[] } = {},
): Parsed {
  const parsed = parseResult(name, output, aView(files, installed));
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export function parseResult(name: ToolName, output: Partial<ToolOutput>, project = aView(sampleFiles)) {
  const context: ParseContext = { project, selected: [], toFile: (path) => path.replace(/^\/project\//, "") };
  return adapterOf(name).parse({ code: 1, stdout: "", stderr: "", ...output }, context);
}

export function adapterOf(name: ToolName) {
  const adapter = adapters.find((one) => one.name === name);
  if (!adapter) throw new Error(`no adapter ${name}`);
  return adapter;
}
