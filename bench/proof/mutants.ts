import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAstGrep } from "../../src/mutation/ast-grep.ts";
import { findMutants, parses } from "../../src/mutation/find-mutants.ts";
import { findFramework } from "../../src/mutation/framework.ts";
import { generateTests } from "../../src/mutation/generate/generate-tests.ts";
import type { Mutant } from "../../src/mutation/mutant.ts";
import { readProject } from "../../src/mutation/project.ts";
import { runMutants, survivorsOf, type MutationLimits } from "../../src/mutation/run-mutants.ts";
import { testRunner, timeLimit } from "../../src/mutation/run-tests.ts";
import { probeIsolation } from "../../src/tool-runner/isolation.ts";
import { openProject } from "../../src/tool-runner/project-folder.ts";
import { systemPath } from "../../src/tool-runner/run-tool.ts";
import type { ProofPackage } from "./packages.ts";

export interface MutantFigures {
  readonly tried: number;
  readonly survivedBefore: number;
  readonly survivedAfter: number;
  /** Generated tests that were kept. */
  readonly tests: number;
  readonly faults: readonly string[];
}

interface Options {
  readonly seed: number;
  /** In each file. */
  readonly mutants: number;
}

const memoryMb = 4_096;
const now = (): number => performance.now();

/** Survivors of a drawn sample, before and after the generated tests are added to the project. */
export async function proveMutants(root: string, one: ProofPackage, options: Options): Promise<MutantFigures> {
  const second = mkdtempSync(join(tmpdir(), "shim-proof-"));
  try {
    cpSync(root, second, { recursive: true, verbatimSymlinks: false });
    const figures = { tried: 0, survivedBefore: 0, survivedAfter: 0, tests: 0, faults: [] as string[] };
    for (const file of one.mutated) if (file !== undefined) await tryFile([root, second], file, options, figures);
    return figures;
  } finally {
    rmSync(second, { recursive: true, force: true });
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

async function tryFile(
  copies: readonly [string, string],
  file: string,
  { seed, mutants: maxMutants }: Options,
  figures: Writable<MutantFigures> & { faults: string[] },
): Promise<void> {
  const [root] = copies;
  const astGrep = await loadAstGrep(root);
  const isolation = probeIsolation(systemPath(process.env));
  const deps = {
    runTests: testRunner({ env: process.env, isolation, memoryMb, now }),
    now,
    timeLimit,
    astGrep,
    parses: (mutant: Mutant, source: string): boolean => parses(astGrep, mutant, source),
  };
  const project = readProject(openProject(root));
  const node = { path: process.execPath, isScript: false, version: process.version };
  const framework = findFramework(project, node);
  if (!framework.ok) return void figures.faults.push(framework.error);
  const { signal } = new AbortController();
  const limits: MutationLimits = { maxMutants, wallMs: 600_000, factor: 3, extraMs: 5_000 };
  const { commandsFor } = framework.value;
  const mutants = findMutants(astGrep, file, readFileSync(join(root, file), "utf8"));
  const report = await runMutants(deps, { copies, mutants, commandsFor, limits, seed, signal });
  if (!report.ok) return void figures.faults.push(`${file}: ${report.error}`);
  const survivors = survivorsOf(report.value.results);
  figures.tried += report.value.results.filter(({ status }) => status !== "invalid" && status !== "not_run").length;
  figures.survivedBefore += survivors.length;
  figures.survivedAfter += survivors.length;
  if (survivors.length === 0) return;
  const request = { copies, framework: framework.value, survivors, limits, signal, project, file };
  const { verdict } = await generateTests(deps, { ...request, seed, maxCalls: 60, probeMs: 10_000 });
  if (verdict.kept === null) return;
  for (const copy of copies) writeFileSync(join(copy, verdict.kept.path), verdict.kept.text);
  figures.tests += verdict.kept.tests;
  figures.survivedAfter += survivorsOf(verdict.results).length - survivors.length;
}
