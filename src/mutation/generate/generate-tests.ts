import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AstGrep } from "../ast-grep.ts";
import type { MutationDeps } from "../run-mutants.ts";
import { testText } from "./characterise.ts";
import { type JudgeRequest, judgeTests, type Verdict } from "./judge.ts";
import { proposeCases, type ProposeOptions, type SkippedFunction } from "./propose-cases.ts";
import { killsOfCases, type Probe, recordCases } from "./record-cases.ts";
import { newTestFile, styleFor } from "./test-style.ts";

export interface GenerateRequest extends JudgeRequest, ProposeOptions {
  /** Time limit of one run of all calls. */
  readonly probeMs: number;
}

export interface GeneratedTests {
  readonly verdict: Verdict;
  /** Calls whose result could be recorded. */
  readonly recorded: number;
  readonly skipped: readonly SkippedFunction[];
}

/** Part of the time for finding out what each call kills. */
const probeShare = 0.6;

/** [MU28] Records what pure functions of a file return, and keeps what kills surviving mutants. */
export async function generateTests(
  deps: MutationDeps & { readonly astGrep: AstGrep },
  request: GenerateRequest,
): Promise<GeneratedTests> {
  const { copies, file, framework, limits, project, signal } = request;
  const end = deps.now() + limits.wallMs;
  const style = styleFor(project, framework.name, file);
  const isTaken = (path: string): boolean => copies.some((folder) => existsSync(join(folder, path)));
  const { cases, skipped } = proposeCases(deps.astGrep, request);
  const probe: Probe = {
    path: newTestFile(style, file, "shim-probe", isTaken),
    style,
    request,
    limitMs: request.probeMs,
    stop: AbortSignal.any([signal, deps.timeLimit(limits.wallMs * probeShare)]),
    root: copies[0],
  };
  const recorded = await recordCases(deps, probe, cases);
  const count = recorded.cases.length;
  if (count === 0) return { verdict: { kept: null, reason: recorded.reason }, recorded: 0, skipped };
  const kills = await killsOfCases(deps, probe, recorded);
  const proposed = {
    path: newTestFile(style, file, "characterisation", isTaken),
    count,
    render: (kept: readonly number[]) =>
      testText(
        style,
        kept.flatMap((index) => recorded.cases[index] ?? []),
      ),
  };
  const rest = { ...request, limits: { ...limits, wallMs: end - deps.now() } };
  return { verdict: await judgeTests(deps, rest, proposed, kills), recorded: count, skipped };
}
