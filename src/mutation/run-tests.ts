import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { InstalledTool } from "../analysis/adapter.ts";
import type { Isolation } from "../tool-runner/isolation.ts";
import { runTool } from "../tool-runner/run-tool.ts";

export interface TestCommand {
  readonly tool: InstalledTool;
  readonly args: readonly string[];
}

export interface TestRun {
  readonly folder: string;
  readonly limitMs: number;
  readonly signal: AbortSignal;
  /** Default: the machine's. */
  readonly timeZone?: string;
  /** Called before the command's own temporary folder is deleted. */
  readonly onEnd?: (temporary: string) => void;
}

export interface TestOutcome {
  readonly kind: "passed" | "failed" | "timeout" | "stopped" | "not_started";
  readonly ms: number;
  /** End of what it printed. */
  readonly output: string;
}

/** Ends all processes of the command before it resolves. */
export type RunTests = (command: TestCommand, run: TestRun) => Promise<TestOutcome>;

export interface TestEnvironment {
  readonly env: NodeJS.ProcessEnv;
  readonly isolation: Isolation;
  /** Limit for each process. */
  readonly memoryMb: number;
  /** Milliseconds. */
  readonly now: () => number;
}

const maxOutputChars = 4_000;

/** [MU10] Runs code of the project: for trusted projects only. */
export function testRunner({ env, isolation, memoryMb, now }: TestEnvironment): RunTests {
  return async ({ tool, args }, { folder, limitMs, signal, timeZone, onEnd }) => {
    const scratch = mkdtempSync(join(tmpdir(), "shim-tests-"));
    try {
      const start = now();
      const limit = timeLimit(limitMs);
      const runEnv = timeZone === undefined ? env : { ...env, TZ: timeZone };
      const bounds = { memoryMb, timeMs: maxTimerMs, signal: AbortSignal.any([signal, limit]) };
      const result = await runTool({ tool, command: { args }, env: runEnv, folder, scratch, isolation, ...bounds });
      onEnd?.(scratch);
      const ms = now() - start;
      if (result.ok) {
        const output = (result.value.stdout + result.value.stderr).slice(-maxOutputChars);
        return { kind: result.value.code === 0 ? "passed" : "failed", ms, output };
      }
      if (signal.aborted) return { kind: "stopped", ms, output: result.error };
      if (limit.aborted) return { kind: "timeout", ms, output: result.error };
      // Otherwise it printed more than any test does.
      const isMissing = result.error.startsWith("cannot be started");
      return { kind: isMissing ? "not_started" : "failed", ms, output: result.error };
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  };
}

const maxTimerMs = 2_147_483_647;

/** Timers take whole milliseconds, up to 24 days. */
export function timeLimit(ms: number): AbortSignal {
  return AbortSignal.timeout(Math.min(maxTimerMs, Math.max(1, Math.ceil(ms))));
}
