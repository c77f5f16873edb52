import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EvolveReport, Tried } from "../../src/code/evolution/run.ts";
import { answersFor, type Answer } from "./answers.ts";
import { commitAll, git, prepare, testsPass } from "./fetch.ts";
import { isOf } from "./match-defects.ts";
import type { ProofPackage } from "./packages.ts";
import { attempt, seedPackage, type ProofOptions } from "./prove.ts";
import { costMicros, readStarts, writeScriptedClaude, type Script } from "./scripted-claude.ts";
import { withShim, type Shim } from "./shim.ts";

export interface EvolveFigures {
  readonly tried: Readonly<Record<"kept" | "rejected" | "stopped", number>>;
  readonly findings: EvolveReport["findings"];
  readonly starts: number;
  readonly costMicros: number;
  readonly ms: number;
  readonly stopped: string | null;
}

export interface EvolveProof {
  readonly changes: EvolveFigures;
  readonly faults: readonly string[];
}

/** What the seeded defects are reported as. */
const only = "TS2322,complexity,duplicates,dead code,eslint(no-useless-escape),eslint(no-useless-rename)";
const budgetMicros = 70_000;
const maxTasks = 12;

/** A run on seeded defects with the scripted model. */
export function proveEvolve(one: ProofPackage, { seed }: ProofOptions): EvolveProof {
  const faults: string[] = [];
  const changes = withShim((shim) => improve(shim, one, seed, faults));
  return { changes, faults };
}

function improve(shim: Shim, one: ProofPackage, seed: number, faults: string[]): EvolveFigures {
  const root = prepare(one);
  const clean = git(root, "rev-parse", "HEAD").trim();
  const seeding = seedPackage(root, one, seed);
  commitAll(root, "seeded");
  const base = git(root, "rev-parse", "HEAD").trim();
  const answers = answersFor(one.entry, seeding);
  const settings = writeSettings(shim, root, { answers, base });
  const limits = ["--budget-cost", String(budgetMicros / 1e6)];
  const start = performance.now();
  const report = shim.evolve(root, "--config", settings, "--only", only, "--max-tasks", String(maxTasks), ...limits);
  const ms = performance.now() - start;
  const starts = readStarts(shim.home);
  const treated = new Map(starts.map(({ task, symbols }) => [task, symbols]));
  const { tried, findings, used, stopped } = report;
  faults.push(...tried.flatMap((each) => unexpected(each, answers, treated.get(each.task) ?? [], stopped)));
  faults.push(...judgeBounds(report, starts.length), ...leftovers(shim, root, report));
  faults.push(...mergeAll(shim, root, report, { clean, answers, treated }));
  const count = (...outcomes: Tried["outcome"][]): number =>
    tried.filter(({ outcome }) => outcomes.includes(outcome)).length;
  return {
    tried: { kept: count("kept", "unchanged"), rejected: count("rejected", "failed"), stopped: count("stopped") },
    findings,
    starts: starts.length,
    costMicros: used.costMicros,
    ms,
    stopped,
  };
}

function writeSettings({ home }: Shim, root: string, script: Script): string {
  const claude = { program: writeScriptedClaude(home, script), env: ["HOME"] };
  const path = join(home, "worker.json");
  writeFileSync(path, JSON.stringify({ types: { evolve: { repository: root, evolve: { trust: true, claude } } } }));
  return path;
}

/** The judge has to keep the good changes, and to refuse the others for the right reason. */
function unexpected(
  tried: Tried,
  answers: readonly Answer[],
  symbols: readonly string[],
  stopped: string | null,
): string[] {
  const { outcome, why, what, method } = tried;
  // Another change has removed its findings, too.
  const isEnded = outcome === "unchanged" || (outcome === "stopped" && stopped !== null);
  const own = answers.filter(({ symbol }) => symbols.includes(symbol));
  if (isEnded || isJudgedWell(tried, own)) return [];
  return [`${what} by ${method}: ${outcome}${why === null ? "" : `, ${why}`}`];
}

function isJudgedWell({ outcome, why, method }: Tried, answers: readonly Answer[]): boolean {
  if (method === "a worker" && answers.length === 0) return why === "nothing was changed";
  const refusals = answers.flatMap(({ refusal }) => refusal ?? []);
  if (refusals.length === 0) return outcome === "kept";
  return outcome === "rejected" && refusals.some((one) => one.test(why ?? ""));
}

/** It ends by itself, and begins nothing once the budget is used up. */
function judgeBounds({ isEnded, used, tried, stopped }: EvolveReport, starts: number): string[] {
  const isSpent = used.costMicros >= budgetMicros;
  return [
    ...(isEnded ? [] : ["the run has not ended"]),
    ...(used.costMicros === starts * costMicros ? [] : [`${starts} starts cost ${used.costMicros} µ$`]),
    ...(used.costMicros < budgetMicros + costMicros ? [] : [`it has spent ${used.costMicros} µ$`]),
    ...(isSpent && stopped === null && tried.some(({ outcome }) => outcome === "stopped") ? ["no reason to stop"] : []),
  ];
}

/** Nothing but the branches that are offered. */
function leftovers({ home }: Shim, root: string, { tried }: EvolveReport): string[] {
  const lines = git(root, "worktree", "list", "--porcelain").split("\n");
  const trees = lines.filter((line) => line.startsWith("worktree ")).length - 1;
  const work = join(home, "shim", "work");
  const folders = (existsSync(work) ? readdirSync(work) : []).filter((name) => /^(?:task|transform)-/.test(name));
  const listed = git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads/shim").split("\n").filter(Boolean);
  const kept = new Set(tried.filter(({ outcome }) => outcome === "kept").map(({ branch }) => branch));
  const stray = listed.filter((branch) => !kept.has(branch));
  return [
    ...(trees > 0 || folders.length > 0 ? [`left behind: ${trees} worktrees, ${folders.join(", ")}`] : []),
    ...(stray.length > 0 ? [`branches that are not offered: ${stray.join(", ")}`] : []),
  ];
}

interface Seeded {
  /** Commit without the defects. */
  readonly clean: string;
  readonly answers: readonly Answer[];
  /** Names of defects by task. */
  readonly treated: ReadonlyMap<number, readonly string[]>;
}

/** Accepts every branch; then the tests pass, and the defects of what was kept are gone. */
function mergeAll(shim: Shim, root: string, { tried }: EvolveReport, seeded: Seeded): string[] {
  const kept = tried.filter(({ outcome }) => outcome === "kept").toSorted((a, b) => a.task - b.task);
  const refused: string[] = [];
  for (const { task, what } of kept) attempt(refused, `merging ${what}`, () => shim.accept(root, task));
  const names = new Set(kept.flatMap(({ task }) => seeded.treated.get(task) ?? []));
  const edits = seeded.answers.filter(({ symbol }) => names.has(symbol)).flatMap((one) => one.edits);
  const lost = edits.filter(({ file, to }) => !readFileSync(join(root, file), "utf8").includes(to));
  const areAllFixed = tried.every(({ method, outcome }) => method === "a worker" || outcome === "kept");
  const fresh = areAllFixed ? shim.analyze(root, "--since", seeded.clean).findings.filter((one) => one.isNew) : [];
  const left = fresh.filter((one) => isOf("dead export", one) || isOf("lint", one));
  return [
    ...refused,
    ...(testsPass(root) ? [] : ["the tests fail once all is merged"]),
    ...lost.map(({ file, to }) => `not there once all is merged: ${to.slice(0, 60)} in ${file}`),
    ...left.map(({ rule, file, symbol }) => `still there once all is merged: ${rule} ${symbol ?? ""} in ${file}`),
  ];
}
