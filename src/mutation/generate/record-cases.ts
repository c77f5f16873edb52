import type { Mutant } from "../mutant.ts";
import { type MutationDeps, onEachMutant } from "../run-mutants.ts";
import { type Case, expressionOf, isStable, type RecordedCase } from "./characterise.ts";
import { type JudgeRequest, withFile } from "./judge.ts";
import { type CaseResult, probeText } from "./probe.ts";
import { type ProbeOutcome, runProbe } from "./run-probe.ts";
import type { TestStyle } from "./test-style.ts";

export interface Probe {
  /** Test file that is written for a run, and deleted. */
  readonly path: string;
  readonly style: TestStyle;
  readonly request: JudgeRequest;
  /** Limit for one run of all calls; then the call that has not ended counts as endless. */
  readonly limitMs: number;
  readonly stop: AbortSignal;
  /** Results with this text in them depend on where the project is. */
  readonly root: string;
}

export interface Recorded {
  readonly cases: readonly RecordedCase[];
  readonly ms: number;
  /** Why there are no more. */
  readonly reason: string;
}

const maxRounds = 3;

/** [MU24] Functions with a call that does not end are left out. */
export async function recordCases(deps: MutationDeps, probe: Probe, cases: readonly Case[]): Promise<Recorded> {
  let open = cases;
  for (let round = 0; round < maxRounds && open.length > 0; round++) {
    const first = await probeOriginal(deps, probe, open, false);
    const second = hungIn(open, first).length === 0 ? await probeOriginal(deps, probe, open, true) : first;
    const hung = new Set(hungIn(open, second));
    if (hung.size === 0) return toRecorded(probe, open, first, second);
    open = open.filter(({ name }) => !hung.has(name));
  }
  return { cases: [], ms: 0, reason: "no exported function can be called with what is known of its parameters" };
}

function toRecorded(probe: Probe, open: readonly Case[], first: ProbeOutcome, second: ProbeOutcome): Recorded {
  const ms = Math.max(first.ms, second.ms);
  const isDead = first.results.every((result) => result === null);
  if (isDead) return { cases: [], ms, reason: `the module cannot be called: ${first.output.trim()}` };
  const cases = open.flatMap((one, index): RecordedCase[] => {
    const result = first.results[index] ?? null;
    if (!isStable(result, second.results[index] ?? null, probe.root)) return [];
    return isWritable(probe.style, result) ? [{ ...one, result }] : [];
  });
  return { cases, ms, reason: "no call has a result that stays the same and is plain data" };
}

function hungIn(cases: readonly Case[], { results }: ProbeOutcome): string[] {
  return cases.filter((_, index) => results[index]?.kind === "hung").map(({ name }) => name);
}

/** chai alone cannot expect a rejection. */
function isWritable({ framework, hasChai }: TestStyle, result: CaseResult): boolean {
  return !(framework === "mocha" && hasChai && result.kind === "threw" && result.isPromise);
}

function probeOriginal(
  deps: MutationDeps,
  probe: Probe,
  cases: readonly Case[],
  isReversed: boolean,
): Promise<ProbeOutcome> {
  const { request, limitMs, stop } = probe;
  const timeZone = isReversed ? "Pacific/Kiritimati" : "UTC";
  return withFile(request.copies, probe.path, textOf(probe, cases, isReversed), () =>
    runProbe(deps.runTests, { ...runOf(probe, cases), folder: request.copies[0], limitMs, signal: stop, timeZone }),
  );
}

function textOf({ style }: Probe, cases: readonly Case[], isReversed: boolean): string {
  const expressions = cases.map((one) => expressionOf(style, one));
  return probeText(style, expressions, isReversed);
}

function runOf({ request, path }: Probe, cases: readonly Case[]) {
  return { command: request.framework.only([path]), count: cases.length };
}

/** For each case the mutants under which its result is another one. */
export async function killsOfCases(
  deps: MutationDeps,
  probe: Probe,
  { cases, ms }: Recorded,
): Promise<ReadonlySet<Mutant>[]> {
  const { copies, survivors, limits } = probe.request;
  const limitMs = Math.min(probe.limitMs, ms * limits.factor + limits.extraMs);
  const kills = cases.map(() => new Set<Mutant>());
  const run = { ...runOf(probe, cases), limitMs, signal: probe.stop, timeZone: "UTC" };
  await withFile(copies, probe.path, textOf(probe, cases, false), () =>
    onEachMutant(deps, { copies, mutants: survivors, stop: probe.stop }, async (mutant, folder) => {
      const { results } = await runProbe(deps.runTests, { ...run, folder });
      for (const index of changedCases(cases, results)) kills[index]?.add(mutant);
    }),
  );
  return kills;
}

/** All where no call began: the module cannot be loaded any more. */
function changedCases(cases: readonly RecordedCase[], results: ProbeOutcome["results"]): number[] {
  const isBroken = results.every((result) => result === null);
  return [...cases.keys()].filter((index) => {
    const now = results[index] ?? null;
    return isBroken || (now !== null && JSON.stringify(now) !== JSON.stringify(cases[index]?.result));
  });
}
