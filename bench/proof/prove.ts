import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finding } from "../../src/analysis/finding.ts";
import { compareTools, joinedFindings, type ToolComparison } from "./compare-tools.ts";
import { writeCodemods, writeRemoval } from "./codemods.ts";
import { seedDefects, type DefectKind } from "./defects.ts";
import { commitAll, git, prepare } from "./fetch.ts";
import { isOf, matchDefects } from "./match-defects.ts";
import { proveMutants, type MutantFigures } from "./mutants.ts";
import type { ProofPackage } from "./packages.ts";
import { withShim, type Shim } from "./shim.ts";

export interface Proof {
  readonly name: string;
  readonly analyzeMs: number;
  readonly findings: number;
  readonly tools: readonly ToolComparison[];
  readonly joined: ReadonlyMap<string, number>;
  readonly seeded: number;
  readonly found: number;
  readonly fixed: number;
  readonly mechanical: number;
  readonly branches: readonly string[];
  readonly mutants: MutantFigures | null;
  /** What does not hold. */
  readonly faults: readonly string[];
}

const mechanical: readonly DefectKind[] = ["dead export", "lint"];

export interface ProofOptions {
  readonly seed: number;
  /** Tried in each file; 0: none. */
  readonly mutants: number;
}

export async function prove(one: ProofPackage, options: ProofOptions): Promise<Proof> {
  const root = prepare(one);
  const scratch = mkdtempSync(join(tmpdir(), "shim-proof-"));
  try {
    const proof = withShim((shim) => proveTools(shim, one, { root, scratch, seed: options.seed }));
    const mutants = options.mutants > 0 ? await proveMutants(prepare(one), one, options) : null;
    return { ...proof, mutants, faults: [...proof.faults, ...(mutants?.faults ?? [])] };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface Setting {
  readonly root: string;
  readonly scratch: string;
  readonly seed: number;
}

function proveTools(shim: Shim, one: ProofPackage, setting: Setting): Omit<Proof, "mutants"> {
  const { root } = setting;
  const faults: string[] = testsPass(root) ? [] : ["the tests fail before anything is changed"];
  const start = performance.now();
  const report = shim.analyze(root);
  const analyzeMs = performance.now() - start;
  const tools = compareTools(root, report);
  for (const { tool, differences } of tools) faults.push(...differences.map((each) => `${tool} ${each}`));
  const branches = Object.entries(writeCodemods(setting.scratch, one)).flatMap(([tool, path]) => {
    return attempt(faults, tool, () => shim.transform(root, path)?.branch ?? []).flat();
  });
  const seeded = proveSeeded(shim, one, setting, faults);
  const { findings } = report;
  const common = { name: `${one.name} ${one.version}`, analyzeMs, findings: findings.length, tools };
  return { ...common, ...seeded, joined: joinedFindings(report), branches: [...branches, ...seeded.branches], faults };
}

type Seeded = Pick<Proof, "seeded" | "found" | "fixed" | "mechanical" | "branches">;

/** Defects are found, and nothing else; what is mechanical is fixed on branches, which are merged. */
function proveSeeded(shim: Shim, one: ProofPackage, { root, scratch, seed }: Setting, faults: string[]): Seeded {
  const files = [...new Set([one.entry, one.renamed.file])];
  const base = git(root, "rev-parse", "HEAD").trim();
  const sources = Object.fromEntries(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));
  const { texts, defects } = seedDefects({ entry: one.entry, sources, seed });
  for (const [file, text] of Object.entries(texts)) writeFileSync(join(root, file), text);
  const before = freshFindings(shim, root, "HEAD");
  const { missed, strays } = matchDefects(before, defects);
  faults.push(...missed.map(({ kind, file, symbol }) => `not found: ${kind} ${symbol} in ${file}`));
  faults.push(...strays.map(({ tool, rule, file, message }) => `not seeded: ${tool} ${rule} in ${file}: ${message}`));
  commitAll(root, "seeded");
  const branches: string[] = [];
  for (const what of ["lint-fix:oxlint", writeRemoval(scratch, before)]) {
    const [branch] = attempt(faults, what, () => shim.transform(root, what)?.branch);
    if (!branch) continue;
    git(root, "merge", "--quiet", "--ff-only", branch);
    branches.push(branch);
  }
  const count = defects.filter(({ kind }) => mechanical.includes(kind)).length;
  const left = freshFindings(shim, root, base).filter((finding) => mechanical.some((kind) => isOf(kind, finding)));
  faults.push(...left.map(({ rule, file, symbol }) => `not fixed: ${rule} ${symbol ?? ""} in ${file}`));
  if (!testsPass(root)) faults.push("the tests fail after the fixes");
  return {
    seeded: defects.length,
    found: defects.length - missed.length,
    fixed: count - left.length,
    mechanical: count,
    branches,
  };
}

function freshFindings(shim: Shim, root: string, since: string): Finding[] {
  return shim.analyze(root, "--since", since).findings.filter(({ isNew }) => isNew === true);
}

/** What throws is a fault, and the proof goes on. */
function attempt<T>(faults: string[], what: string, body: () => T): T[] {
  try {
    return [body()];
  } catch (error) {
    faults.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

function testsPass(root: string): boolean {
  const env = { ...process.env, CI: "1", NO_COLOR: "1" };
  return spawnSync("npm", ["test", "--silent"], { cwd: root, env, stdio: "ignore" }).status === 0;
}
