import { err, ok, type Result } from "../shared/result.ts";
import type { InstalledTool } from "../analysis/adapter.ts";
import { type Project, testsOf } from "./project.ts";
import type { TestCommand } from "./run-tests.ts";

export type FrameworkName = "vitest" | "jest" | "mocha" | "node:test";

export interface Framework {
  readonly name: FrameworkName;
  readonly all: TestCommand;
  readonly only: (testFiles: readonly string[]) => TestCommand;
  /** [MU14] The tests that reach a file first; the whole suite where they may not be all. */
  readonly commandsFor: (file: string) => readonly TestCommand[];
}

const importOf: Readonly<Record<FrameworkName, RegExp>> = {
  vitest: /["']vitest["']/,
  jest: /["']@jest\/globals["']/,
  mocha: /["']mocha["']/,
  "node:test": /["']node:test["']/,
};

/** Other frameworks give their suites a global of this name, too. */
const jestGlobal = /\bjest\.(?:fn|mock|spyOn)\(/;

/** [MU20] From imports of the test files, the test script, the global of jest, the packages. */
export function frameworkName({ manifest, testFiles, read }: Project): FrameworkName | null {
  const names = Object.keys(importOf) as FrameworkName[];
  const counts = names.map((name) => testFiles.filter((file) => importOf[name].test(read(file))).length);
  const most = Math.max(...counts);
  if (most > 0) return names[counts.indexOf(most)] ?? null;
  const script = manifest.scripts["test"] ?? "";
  const inScript = names.find((name) => script.split(/\W/).includes(name));
  if (inScript !== undefined) return inScript;
  if (/\bnode\b/.test(script) && /\s--test\b/.test(script)) return "node:test";
  if (testFiles.some((file) => jestGlobal.test(read(file)))) return "jest";
  const packages = { ...manifest.dependencies, ...manifest.devDependencies };
  return names.find((name) => Object.hasOwn(packages, name)) ?? null;
}

/** @param node the Node that runs the tests */
export function findFramework(project: Project, node: InstalledTool): Result<Framework, string> {
  const name = frameworkName(project);
  if (name === null) return err("no test framework was found: vitest, jest, mocha or node:test");
  const tool = name === "node:test" ? node : project.findTool(name, name);
  if (tool === null) return err(`${name} is not installed in the project: npm install`);
  if (typeof tool === "string") return err(tool);
  const run = (...args: string[]): TestCommand => ({ tool, args });
  const make = (all: TestCommand, only: Only, related: Related): Result<Framework, string> =>
    ok({ name, all, only, commandsFor: directFirst(project, only, related) });
  if (name === "vitest")
    return make(
      run("run"),
      (testFiles) => run("run", ...testFiles),
      (file) => run("related", "--run", "--passWithNoTests", file),
    );
  if (name === "jest")
    return make(
      run("--ci"),
      (testFiles) => run("--ci", "--runTestsByPath", ...testFiles),
      (file) => run("--ci", "--findRelatedTests", "--passWithNoTests", file),
    );
  const flags = [...scriptFlags(project.manifest.scripts["test"] ?? ""), ...(name === "mocha" ? [] : ["--test"])];
  const all = run(...flags, ...project.testFiles);
  return make(
    all,
    (testFiles) => run(...flags, ...testFiles),
    () => all,
  );
}

type Only = Framework["only"];
type Related = (file: string) => TestCommand;

/** A test may reach a file through another one: what survives its direct tests meets the rest. */
function directFirst(project: Project, only: Only, rest: Related): Framework["commandsFor"] {
  return (file) => {
    const direct = testsOf(project, file);
    const isAll = direct.length === 0 || direct.length === project.testFiles.length;
    return isAll ? [rest(file)] : [only(direct), rest(file)];
  };
}

const loaderFlag = /^(?:-r|--require|--import|--loader|--experimental-[\w-]+|--conditions|-C|--ui|-u|--config)(=.*)?$/;
const flagsWithValue = /^(?:-r|--require|--import|--loader|--experimental-loader|--conditions|-C|--ui|-u|--config)$/;

/** Flags of the test script that say how its files are loaded. */
function scriptFlags(script: string): string[] {
  const words = script.split(/\s+/).map((word) => word.replaceAll(/^["']|["']$/g, ""));
  return words.flatMap((word, index) => {
    if (!loaderFlag.test(word)) return [];
    const value = words[index + 1];
    return flagsWithValue.test(word) && value !== undefined ? [word, value] : [word];
  });
}
