import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finding } from "../../src/code/analysis/finding.ts";
import { writeCodemods, writeRemoval } from "./codemods.ts";
import { compareTools, joinedFindings, type ToolComparison } from "./compare-tools.ts";
import { seedDefects, type Defect, type DefectKind, type Seeding, type SeedRequest } from "./defects.ts";
import { commitAll, git, prepare, testsPass } from "./fetch.ts";
import { isOf, matchDefects } from "./match-defects.ts";
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
  /** Null where it is only analysed. */
  readonly fixed: { readonly count: number; readonly mechanical: number } | null;
  readonly branches: readonly string[];
  /** What does not hold. */
  readonly faults: readonly string[];
}

const mechanical: readonly DefectKind[] = ["dead export", "lint"];

export interface ProofOptions {
  readonly seed: number;
}

export function prove(one: ProofPackage, { seed }: ProofOptions): Proof {
  const root = prepare(one);
  const scratch = mkdtempSync(join(tmpdir(), "shim-proof-"));
  try {
    return withShim((shim) => proveTools(shim, one, { root, scratch, seed }));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface Setting {
  readonly root: string;
  readonly scratch: string;
  readonly seed: number;
}

function proveTools(shim: Shim, one: ProofPackage, setting: Setting): Proof {
  const { root } = setting;
  const isWhole = one.isAnalysedOnly !== true;
  const faults: string[] = !isWhole || testsPass(root) ? [] : ["the tests fail before anything is changed"];
  const start = performance.now();
  const report = shim.analyze(root);
  const analyzeMs = performance.now() - start;
  const tools = compareTools(root, report);
  for (const { tool, differences } of tools) faults.push(...differences.map((each) => `${tool} ${each}`));
  const codemods = isWhole ? Object.entries(writeCodemods(setting.scratch, one)) : [];
  const branches = codemods.flatMap(([tool, path]) => {
    return attempt(faults, tool, () => shim.transform(root, path)?.branch ?? []).flat();
  });
  const clean = git(root, "rev-parse", "HEAD").trim();
  const seeded = findSeeded(shim, root, seedPackage(root, one, setting.seed), faults);
  commitAll(root, "seeded");
  const fixed = isWhole ? fixSeeded(shim, setting, { ...seeded, clean }, faults) : null;
  const { findings } = report;
  const common = { name: `${one.name} ${one.version}`, analyzeMs, findings: findings.length, tools };
  const joined = joinedFindings(report);
  const { found, defects } = seeded;
  const all = [...branches, ...(fixed?.branches ?? [])];
  return { ...common, joined, found, seeded: defects.length, fixed, branches: all, faults };
}

/** Adds the defects to the files of the package. */
export function seedPackage(root: string, { entry, renamed }: ProofPackage, seed: number): Seeding {
  return writeSeeds(root, [entry, renamed.file], { entry, seed });
}

/** @param files get dead exports; the entry is one of them */
export function writeSeeds(root: string, files: readonly string[], request: Omit<SeedRequest, "sources">): Seeding {
  const sources = Object.fromEntries(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));
  const seeding = seedDefects({ ...request, sources });
  for (const [file, text] of Object.entries(seeding.texts)) writeFileSync(join(root, file), text);
  return seeding;
}

interface Seeded {
  readonly defects: readonly Defect[];
  readonly found: number;
  readonly fresh: readonly Finding[];
}

/** The defects are found, and nothing else. */
export function findSeeded(shim: Shim, root: string, { defects }: Seeding, faults: string[]): Seeded {
  const fresh = freshFindings(shim, root, "HEAD");
  const { missed, strays } = matchDefects(fresh, defects);
  faults.push(...missed.map(({ kind, file, symbol }) => `not found: ${kind} ${symbol} in ${file}`));
  faults.push(...strays.map(({ tool, rule, file, message }) => `not seeded: ${tool} ${rule} in ${file}: ${message}`));
  return { defects, found: defects.length - missed.length, fresh };
}

/** What is mechanical is fixed on branches, which are merged. */
function fixSeeded(
  shim: Shim,
  { root, scratch }: Setting,
  { defects, fresh, clean }: Seeded & { readonly clean: string },
  faults: string[],
): NonNullable<Proof["fixed"]> & { readonly branches: readonly string[] } {
  const branches: string[] = [];
  for (const what of ["lint-fix", writeRemoval(scratch, fresh)]) {
    const [branch] = attempt(faults, what, () => shim.transform(root, what)?.branch);
    if (!branch) continue;
    git(root, "merge", "--quiet", "--ff-only", branch);
    branches.push(branch);
  }
  const mechanicalCount = defects.filter(({ kind }) => mechanical.includes(kind)).length;
  const left = freshFindings(shim, root, clean).filter((finding) => mechanical.some((kind) => isOf(kind, finding)));
  faults.push(...left.map(({ rule, file, symbol }) => `not fixed: ${rule} ${symbol ?? ""} in ${file}`));
  if (!testsPass(root)) faults.push("the tests fail after the fixes");
  return { count: mechanicalCount - left.length, mechanical: mechanicalCount, branches };
}

function freshFindings(shim: Shim, root: string, since: string): Finding[] {
  return shim.analyze(root, "--since", since).findings.filter(({ isNew }) => isNew === true);
}

/** What throws is a fault, and the proof goes on. */
export function attempt<T>(faults: string[], what: string, body: () => T): T[] {
  try {
    return [body()];
  } catch (error) {
    faults.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}
