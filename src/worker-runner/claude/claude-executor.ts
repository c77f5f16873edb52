import type { Usage } from "../../contract/budgets.ts";
import type { Route } from "../../contract/routes.ts";
import { zeroUsage } from "../../contract/usage.ts";
import { settingsHash } from "../../local-mcp/recording/session-settings.ts";
import type { Launch } from "../../platform/launch.ts";
import type { Executor, RunOutcome, TaskRun } from "../executor.ts";
import { ClaudeRun, type ClaudeOutcome } from "./claude-run.ts";
import type { ClaudeSettings } from "./claude-settings.ts";
import {
  chooseContinuation,
  otherModel,
  takeOver,
  type Continuation,
  type MachineDeps,
} from "../client/continuation.ts";
import { LimitedTask } from "./limited-task.ts";
import type { StopTimeouts } from "../client/stop-timeouts.ts";
import { findRoute, isSameModel, toRouteCheckpoint } from "./task-route.ts";
import { LimitMemory } from "./usage-limit.ts";
import { clientAtLimit } from "../other-client/at-limit.ts";
import { findReachedLimit } from "../client/reached-limit.ts";

export interface ClaudeDeps extends MachineDeps {
  /** Clock in ms that stops while the machine sleeps, and never jumps. */
  readonly monotonic: () => number;
  readonly launch: Launch;
  /** Output of `<program> --version`; null when it cannot be run. */
  readonly versionOf: (program: string) => string | null;
}

export interface ClaudeExecutorOptions extends ClaudeDeps {
  readonly settings: ClaudeSettings;
  readonly stopTimeouts?: StopTimeouts;
}

export function claudeExecutor(options: ClaudeExecutorOptions): Executor {
  const limits = new LimitMemory();
  return { programs: clientsOf(options.settings), run: (run) => runTask(options, run, limits) };
}

function clientsOf({ program, atLimit }: ClaudeSettings): string[] {
  const other = clientAtLimit(atLimit)?.commands.run("", []).command;
  return [program, ...(other === undefined ? [] : [atLimit?.program ?? other])];
}

async function runTask(options: ClaudeExecutorOptions, run: TaskRun, limits: LimitMemory): Promise<RunOutcome> {
  const reached = findReachedLimit(zeroUsage, run.budgetLeft);
  if (reached !== null) return { kind: "over_budget", reason: reached };
  const limited = new LimitedTask(options, run, limits);
  if (limits.remainingMs(options.runtime.now()) > 0) return limited.continue(null, zeroUsage);
  const used = { last: zeroUsage };
  const outcome = await runClaude(options, withUsage(run, used));
  if (outcome.kind !== "limited") {
    if (outcome.kind === "done") limits.clear();
    return outcome;
  }
  limits.set(outcome.limit, outcome.words, options.runtime.now());
  return limited.continue(outcome.session, used.last);
}

function withUsage(run: TaskRun, used: { last: Usage }): TaskRun {
  return {
    ...run,
    onUsage: (usage) => {
      used.last = usage;
      run.onUsage(usage);
    },
  };
}

async function runClaude(options: ClaudeExecutorOptions, run: TaskRun): Promise<KnownOutcome> {
  if (options.settings.allowAll) run.onOutput("allowAll: no permission is asked for, every tool may be used\n");
  const route = await reportRoute(options, run);
  const obstacle = isSameModel(run.task, options.settings, route) ? null : otherModel;
  const continuation = await chooseContinuation(options, run.task, run.folder, obstacle);
  const firstOutcome = await runSession(options, run, route, continuation);
  if (firstOutcome.kind !== "unknown_session") return firstOutcome;
  run.onOutput("Claude Code does not know the session of the previous attempt; a new one is started\n");
  const newSession = await chooseContinuation(options, { ...run.task, checkpoint: null }, run.folder);
  const secondOutcome = await runSession(options, run, route, newSession);
  if (secondOutcome.kind === "unknown_session") throw new Error("a new session cannot be unknown");
  return secondOutcome;
}

type KnownOutcome = Exclude<ClaudeOutcome, { kind: "unknown_session" }>;

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
): Promise<ClaudeOutcome> {
  if (continuation.kind === "brief")
    run.onOutput(`session ${continuation.restoration.session.id} is not resumed: ${continuation.reason}\n`);
  const release = await takeOver(options, continuation);
  try {
    return await new ClaudeRun(options, run, continuation, route).run();
  } finally {
    await release();
  }
}
