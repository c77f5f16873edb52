import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RunTests, TestCommand } from "../run-tests.ts";
import { type CaseResult, probeOutput, readResults } from "./probe.ts";

export interface ProbeRun {
  readonly command: TestCommand;
  readonly folder: string;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Number of cases of the probe. */
  readonly count: number;
  readonly timeZone: string;
}

export interface ProbeOutcome {
  /** A result is null if the call did not begin. */
  readonly results: readonly (CaseResult | null)[];
  readonly ms: number;
  readonly output: string;
}

export async function runProbe(runTests: RunTests, { command, count, ...run }: ProbeRun): Promise<ProbeOutcome> {
  let text = "";
  const onEnd = (temporary: string): void => void (text = readText(join(temporary, probeOutput)));
  const { ms, output } = await runTests(command, { ...run, onEnd });
  return { results: readResults(text, count), ms, output };
}

/** Absent where the module cannot be loaded. */
function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
