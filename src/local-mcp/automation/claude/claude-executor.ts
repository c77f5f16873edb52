import { zeroUsage } from "../../../coordination/usage.ts";
import type { Launch } from "../../launch.ts";
import type { Runtime } from "../../runtime.ts";
import type { Executor, Outcome, Run } from "../executor.ts";
import { ClaudeRun } from "./claude-run.ts";
import { continuationOf, takeOver, type Continuation } from "./continuation.ts";
import { reached } from "./limits.ts";
import type { ClaudeSettings } from "./settings.ts";

export interface ClaudeExecutorOptions {
  readonly settings: ClaudeSettings;
  readonly runtime: Runtime;
  /** In ms; stands still while the machine sleeps, and does not jump. */
  readonly monotonic: () => number;
  /** This copy of SHIM, whose server and hooks Claude Code gets. */
  readonly launch: Launch;
  readonly patience?: Patience;
}

/** How long a run may take to stop, in ms: after INT, and after TERM. */
export interface Patience {
  readonly interruptMs: number;
  readonly graceMs: number;
}

/** Does tasks with Claude Code (`claude -p`), which is kept, resumed and stopped as docs/spec/claude-executor.md says. */
export function claudeExecutor(options: ClaudeExecutorOptions): Executor {
  return { run: (run) => start(options, run) };
}

async function start(options: ClaudeExecutorOptions, run: Run): Promise<Outcome> {
  const limit = reached(zeroUsage, run.left);
  if (limit !== null) return { kind: "over_budget", reason: limit };
  if (options.settings.allowAll) run.onOutput("allowAll: no permission is asked for, every tool may be used\n");
  const first = await continued(options, run, continuationOf(options.runtime, run.task, run.folder));
  if (first !== "unknown_session") return first;
  run.onOutput("Claude Code does not know the session of the attempt before; a new one is begun\n");
  const anew = continuationOf(options.runtime, { ...run.task, checkpoint: null }, run.folder);
  const second = await continued(options, run, anew);
  if (second === "unknown_session") throw new Error("a new session cannot be unknown");
  return second;
}

async function continued(
  options: ClaudeExecutorOptions,
  run: Run,
  next: Continuation,
): Promise<Outcome | "unknown_session"> {
  if (next.kind === "brief") run.onOutput(`session ${next.from.session.id} is not resumed: ${next.reason}\n`);
  const release = takeOver(options.runtime, next);
  try {
    return await new ClaudeRun(options, run, next).toEnd();
  } finally {
    release();
  }
}
