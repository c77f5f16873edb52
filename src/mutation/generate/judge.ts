import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Result } from "../../shared/result.ts";
import type { Framework } from "../framework.ts";
import type { Mutant } from "../mutant.ts";
import {
  type MutantResult,
  type MutationDeps,
  type MutationLimits,
  type MutationReport,
  type MutationRequest,
  runMutants,
} from "../run-mutants.ts";
import { greedyCover } from "./cover.ts";

/** Proposed tests, each of which can be left out. */
export interface ProposedTests {
  /** Relative to the project; no such file exists. */
  readonly path: string;
  readonly count: number;
  /** Text of the file with only these tests, by their numbers from 0. */
  readonly render: (kept: readonly number[]) => string;
}

export interface JudgeRequest {
  readonly copies: MutationRequest["copies"];
  readonly framework: Framework;
  /** Mutants that survived all tests before. */
  readonly survivors: readonly Mutant[];
  /** `maxMutants` has no effect; `wallMs` is for everything. */
  readonly limits: MutationLimits;
  readonly signal: AbortSignal;
}

export interface KeptTests {
  readonly path: string;
  readonly text: string;
  readonly tests: number;
}

export type Verdict =
  | { readonly kept: KeptTests; readonly results: readonly MutantResult[] }
  | { readonly kept: null; readonly reason: string };

/** Part of the time that may go by before the last check. */
const searchShare = 0.7;

/**
 * [MU25] Keeps the tests that pass twice without a mutant and kill one that survived before, and of
 * those few that kill all that any kills.
 *
 * @param kills what each test kills by itself, where that is known
 */
export async function judgeTests(
  deps: MutationDeps,
  request: JudgeRequest,
  proposed: ProposedTests,
  kills: readonly ReadonlySet<Mutant>[] | null = null,
): Promise<Verdict> {
  const end = deps.now() + request.limits.wallMs;
  const check: Check = (tests, survivors, part = 1) => {
    const wallMs = (end - deps.now()) * part;
    return checkTests(deps, { ...request, survivors, limits: { ...request.limits, wallMs } }, proposed, tests);
  };
  const first = kills === null ? null : await judgeKept(check, request, proposed, greedyCover(kills));
  if (first?.kept) return first;
  const all = Array.from({ length: proposed.count }, (_, test) => test);
  const whole = await check(all, request.survivors, searchShare / 2);
  if (!whole.ok && all.length < 2) return { kept: null, reason: whole.error };
  const open = whole.ok ? [...killedIn(whole.value)] : request.survivors;
  return judgeKept(check, request, proposed, await fewest(check, all, open));
}

/** @param part of the time that is left */
type Check = (tests: readonly number[], survivors: readonly Mutant[], part?: number) => Promise<Checked>;

async function judgeKept(
  check: Check,
  { survivors }: JudgeRequest,
  { path, render }: ProposedTests,
  tests: readonly number[],
): Promise<Verdict> {
  if (tests.length === 0) return killsNothing;
  const checked = await check(tests, survivors);
  if (!checked.ok) return { kept: null, reason: checked.error };
  if (killedIn(checked.value).size === 0) return killsNothing;
  return { kept: { path, text: render(tests), tests: tests.length }, results: checked.value.results };
}

const killsNothing = { kept: null, reason: "no test kills a mutant that survived before" } as const;

/** Tries each test by itself. */
async function fewest(check: Check, all: readonly number[], open: readonly Mutant[]): Promise<readonly number[]> {
  if (open.length === 0 || all.length < 2) return open.length === 0 ? [] : all;
  const found: ReadonlySet<Mutant>[] = [];
  for (const test of all) {
    const alone = await check([test], open, searchShare / (all.length - test));
    found.push(alone.ok ? killedIn(alone.value) : new Set());
  }
  return greedyCover(found);
}

type Checked = Result<MutationReport, string>;

async function checkTests(
  deps: MutationDeps,
  { copies, framework, survivors, limits, signal }: JudgeRequest,
  { path, render }: ProposedTests,
  tests: readonly number[],
): Promise<Checked> {
  return withFile(copies, path, render(tests), () =>
    runMutants(deps, {
      copies,
      mutants: survivors,
      commandsFor: () => [framework.only([path])],
      limits: { ...limits, maxMutants: survivors.length },
      seed: 0,
      signal,
    }),
  );
}

/** [MU26] The file is in all copies while `body` runs, and not afterwards. */
export async function withFile<T>(
  copies: readonly string[],
  path: string,
  text: string,
  body: () => Promise<T>,
): Promise<T> {
  const made: string[] = [];
  try {
    for (const copy of copies) {
      const file = join(copy, path);
      const folder = mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text, { flag: "wx" });
      made.push(folder ?? file);
    }
    return await body();
  } finally {
    for (const path of made) rmSync(path, { recursive: true, force: true });
  }
}

function killedIn({ results }: MutationReport): Set<Mutant> {
  const killed = results.filter(({ status }) => status === "killed" || status === "timeout");
  return new Set(killed.map(({ mutant }) => mutant));
}
