import { type AstGrep, parseSource } from "../ast-grep.ts";
import { type Project, resolveImport, testsOf } from "../project.ts";
import type { Case } from "./characterise.ts";
import { readModule } from "./module-exports.ts";
import { isLikelyPure } from "./purity.ts";
import { type Call, callsIn, sampleCalls } from "./sample-arguments.ts";
import { seededRandom } from "../../shared/seeded-random.ts";

export interface ProposeOptions {
  readonly project: Project;
  /** The source file. */
  readonly file: string;
  readonly seed: number;
  /** Limit for one function. */
  readonly maxCalls: number;
}

export interface SkippedFunction {
  readonly name: string;
  readonly reason: string;
}

export interface ProposedCases {
  readonly cases: readonly Case[];
  readonly skipped: readonly SkippedFunction[];
}

/** Pure but for reading the project. Calls of the exported functions that look pure. */
export function proposeCases(astGrep: AstGrep, { project, file, seed, maxCalls }: ProposeOptions): ProposedCases {
  const facts = readModule(astGrep, file, project.read(file));
  const modules = {
    astGrep,
    read: (path: string) => project.read(path) || null,
    resolve: (from: string, specifier: string) => resolveImport(project, from, specifier),
  };
  const tests = testsOf(project, file).map((path) => ({ path, text: project.read(path) }));
  const random = seededRandom(seed);
  const cases: Case[] = [];
  const skipped: SkippedFunction[] = [];
  for (const exported of facts.functions) {
    const { name } = exported;
    const tested = tests.flatMap(({ path, text }) => testedCalls(astGrep, path, text, name));
    const isPure = isLikelyPure(modules, file, facts, exported);
    const calls = isPure ? sampleCalls(facts, exported, tested, { maxCalls, random }) : null;
    if (!isPure) skipped.push({ name, reason: "may have effects, or depend on more than its arguments" });
    else if (calls === null) skipped.push({ name, reason: "takes what cannot be written as a literal" });
    for (const call of calls ?? []) cases.push({ name, call });
  }
  return { cases, skipped };
}

/** A default export has the name that the test gives it. */
function testedCalls(astGrep: AstGrep, path: string, text: string, name: string): Call[] {
  const isWhole = name === "default" || name === "module.exports";
  const given = text.matchAll(/^(?:import|const)\s+(\w+)\s+(?:from\s+["']\.|=\s*require\(["']\.)/gm);
  const names = isWhole ? [...given].map(([, local = ""]) => local) : [name];
  const root = parseSource(astGrep, path, text);
  return names.flatMap((one) => callsIn(root, one));
}
