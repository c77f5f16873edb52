import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { InstalledTool } from "#src/analysis/adapter.ts";
import { loadAstGrep } from "#src/mutation/ast-grep.ts";
import { findMutants, parses } from "#src/mutation/find-mutants.ts";
import type { Mutant } from "#src/mutation/mutant.ts";
import { defaultLimits, type MutationDeps, type MutationRequest } from "#src/mutation/run-mutants.ts";
import type { RunTests, TestCommand, TestOutcome } from "#src/mutation/run-tests.ts";

export const astGrep = await loadAstGrep(import.meta.dirname);

export const nodeTool: InstalledTool = { path: process.execPath, isScript: false, version: process.version };

export function command(...args: string[]): TestCommand {
  return { tool: { ...nodeTool, path: "tests" }, args };
}

type Judge = (
  source: string,
  run: { readonly args: readonly string[]; readonly folder: string },
) => TestOutcome["kind"];

/** Tests that read the file and answer at once. */
export function fakeTests(file: string, judge: Judge): { readonly runTests: RunTests; readonly runs: string[] } {
  const runs: string[] = [];
  const runTests: RunTests = async ({ args }, { folder }) => {
    const source = readFileSync(join(folder, file), "utf8");
    runs.push(`${args.join(" ")}: ${source.trim()}`);
    return { kind: judge(source, { args, folder }), ms: 10, output: "the output" };
  };
  return { runTests, runs };
}

export function depsOf(runTests: RunTests): MutationDeps {
  const { signal } = new AbortController();
  return {
    runTests,
    now: () => 0,
    timeLimit: () => signal,
    parses: (mutant, source) => parses(astGrep, mutant, source),
  };
}

export function mutantsOf(file: string, source: string): Mutant[] {
  return findMutants(astGrep, file, source);
}

export function requestOf(
  root: string,
  mutants: readonly Mutant[],
  more: Partial<MutationRequest> = {},
): MutationRequest {
  const { signal } = new AbortController();
  return {
    copies: [root],
    mutants,
    commandsFor: () => [command("all")],
    limits: defaultLimits,
    seed: 1,
    signal,
    ...more,
  };
}
