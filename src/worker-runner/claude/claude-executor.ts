import type { Route } from "../../contract/routes.ts";
import { zeroUsage } from "../../contract/usage.ts";
import type { Launch } from "../../platform/launch.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Executor, RunOutcome, TaskRun } from "../executor.ts";
import { ClaudeRun } from "./claude-run.ts";
import { chooseContinuation, takeOver, type Continuation } from "./continuation.ts";
import { findRoute, isSameModel, toRouteCheckpoint } from "./task-route.ts";
import { settingsHash } from "../../local-mcp/recording/session-settings.ts";
import { findReachedLimit } from "./usage-meter.ts";
import type { ClaudeSettings } from "./claude-settings.ts";

export interface ClaudeExecutorOptions {
  readonly settings: ClaudeSettings;
  readonly runtime: Runtime;
  /** Clock in ms that stops while the machine sleeps, and never jumps. */
  readonly monotonic: () => number;
  readonly launch: Launch;
  /** Output of `<program> --version`; null when it cannot be run. */
  readonly versionOf: (program: string) => string | null;
  readonly stopTimeouts?: StopTimeouts;
}

/** Times after INT and after TERM. */
export interface StopTimeouts {
  readonly interruptMs: number;
  readonly graceMs: number;
}

export function claudeExecutor(options: ClaudeExecutorOptions): Executor {
  return { run: (run) => runTask(options, run) };
}

async function runTask(options: ClaudeExecutorOptions, run: TaskRun): Promise<RunOutcome> {
  const limit = findReachedLimit(zeroUsage, run.budgetLeft);
  if (limit !== null) return { kind: "over_budget", reason: limit };
  if (options.settings.allowAll) run.onOutput("allowAll: no permission is asked for, every tool may be used\n");
  const route = await reportRoute(options, run);
  const canResume = isSameModel(run.task, options.settings, route);
  const continuation = chooseContinuation(options.runtime, run.task, run.folder, canResume);
  const firstOutcome = await runSession(options, run, route, continuation);
  if (firstOutcome !== "unknown_session") return firstOutcome;
  run.onOutput("Claude Code does not know the session of the previous attempt; a new one is started\n");
  const newSession = chooseContinuation(options.runtime, { ...run.task, checkpoint: null }, run.folder);
  const secondOutcome = await runSession(options, run, route, newSession);
  if (secondOutcome === "unknown_session") throw new Error("a new session cannot be unknown");
  return secondOutcome;
}

/** [RT19] Reports it first, so that a worker that dies leaves it with its next heartbeat. */
async function reportRoute({ settings, runtime }: ClaudeExecutorOptions, run: TaskRun): Promise<Route | null> {
  const random = (): number =>
    Buffer.from(runtime.random(randomBytes)).readUIntBE(0, randomBytes) / 2 ** (8 * randomBytes);
  const found = await findRoute(settings, run, random);
  if (!found) return null;
  const route = { ...found, settings: settingsHash(runtime.config) };
  run.onRoute(route);
  run.onCheckpoint(toRouteCheckpoint(run.task, route));
  const effort = route.effort === null ? "" : `, effort ${route.effort}`;
  const chance = route.propensity < 1 ? `, chosen with probability ${route.propensity.toFixed(3)}` : "";
  run.onOutput(`tier ${route.tier} (${route.model}${effort}): ${route.reason.replace("_", " ")}${chance}\n`);
  return route;
}

/** 48 bits, the most that a number reads at once. */
const randomBytes = 6;

async function runSession(
  options: ClaudeExecutorOptions,
  run: TaskRun,
  route: Route | null,
  continuation: Continuation,
): Promise<RunOutcome | "unknown_session"> {
  if (continuation.kind === "brief")
    run.onOutput(`session ${continuation.restoration.session.id} is not resumed: ${continuation.reason}\n`);
  const release = takeOver(options.runtime, continuation);
  try {
    return await new ClaudeRun(options, run, continuation, route).run();
  } finally {
    release();
  }
}
