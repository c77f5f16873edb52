import { setTimeout as pause } from "node:timers/promises";
import type { HostContext } from "../local-mcp/host/host.ts";
import type { Sample } from "../contract/metrics.ts";
import { isAlive, type ProcessIdentity } from "../platform/processes.ts";
import { findSupervisor } from "../platform/supervisor-mark.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { dueInMs, type Restarts } from "./auto-restarter.ts";
import { isProgram, type SupervisorSettings, type WatchTarget } from "./supervisor-settings.ts";
import { SupervisorState } from "./supervisor-state.ts";

type Context = Pick<HostContext, "paths" | "runtime">;

export async function refuseSecondSupervisor({ paths, runtime }: Context): Promise<Failure | null> {
  const supervisor = findSupervisor(paths.home, (await runtime()).processes);
  return supervisor && alreadyRunning(supervisor);
}

/** @param supervisor null: it has begun in this moment */
export function alreadyRunning(supervisor: ProcessIdentity | null): Failure {
  const who = supervisor === null ? "" : `, pid ${supervisor.pid}`;
  const message = `a supervisor is already running${who}. \`shim worker supervise status\` shows what it does, \`shim worker supervise stop\` ends it.`;
  return { code: "already_running", message };
}

export interface WatchedState {
  readonly name: string;
  readonly kind: WatchTarget["kind"];
  readonly phase: Restarts["phase"] | "watched" | "unwatched";
  readonly reason: string | null;
  readonly session: string | null;
  readonly againInMs: number | null;
}

interface SupervisorStatus {
  /** The supervisor that runs; null where none does. */
  readonly pid: number | null;
  readonly watched: readonly WatchedState[];
}

export async function supervisorStatus(
  { paths, runtime }: Context,
  { watch }: SupervisorSettings,
): Promise<Result<SupervisorStatus, Failure>> {
  const state = SupervisorState.open(paths.home);
  if (!state.ok) return state;
  const { processes, now } = await runtime();
  const supervisor = findSupervisor(paths.home, processes);
  const watched = Object.entries(watch).map(([name, target]) =>
    toWatchedState(name, target, state.value, now(), supervisor !== null),
  );
  return ok({ pid: supervisor?.pid ?? null, watched });
}

function toWatchedState(
  name: string,
  target: WatchTarget,
  state: SupervisorState,
  now: number,
  isSupervised: boolean,
): WatchedState {
  const unknown = { name, kind: target.kind, reason: null, session: null, againInMs: null };
  if (!isProgram(target)) return { ...unknown, phase: isSupervised ? "watched" : "unwatched" };
  const { restarts, chat } = state.stateFor(name, target, now);
  const { phase, reason } = restarts;
  // A killed supervisor leaves programs as running that are no longer.
  if (!isSupervised && phase === "running") return { ...unknown, phase: "unwatched" };
  return { ...unknown, phase, reason, session: chat.session, againInMs: dueInMs(restarts, now) };
}

const pollIntervalMs = 100;

/** Asks the supervisor to end, and waits for that. @returns its pid */
export async function stopSupervisor(
  { paths, runtime }: Context,
  signal: AbortSignal,
): Promise<Result<number, Failure>> {
  const { processes } = await runtime();
  const supervisor = findSupervisor(paths.home, processes);
  if (supervisor === null) return fail("not_found", "no supervisor is running.");
  const { pid } = supervisor;
  if (!isAlive(processes, supervisor))
    return fail("out_of_sight", `the supervisor (pid ${pid}) runs in another container: end it there.`);
  process.kill(pid, "SIGTERM");
  while (isAlive(processes, supervisor)) {
    if (signal.aborted) return fail("interrupted", `supervisor ${pid} is still ending.`);
    await pause(pollIntervalMs, undefined, { signal }).catch(() => undefined);
  }
  return ok(pid);
}

/** Starts a program again: at once, or with the next supervisor. */
export async function retryProgram(
  { paths, runtime }: Context,
  { watch }: SupervisorSettings,
  name: string,
): Promise<Result<{ readonly phase: Restarts["phase"]; readonly isSupervised: boolean }, Failure>> {
  const state = SupervisorState.open(paths.home);
  if (!state.ok) return state;
  const watched = Object.hasOwn(watch, name) ? watch[name] : undefined;
  if (!watched || !isProgram(watched)) {
    const names = Object.entries(watch).flatMap(([one, what]) => (isProgram(what) ? [one] : []));
    return fail("not_found", `no program "${name}" is watched. There are: ${names.join(", ") || "none"}.`);
  }
  const { processes, now } = await runtime();
  const isSupervised = findSupervisor(paths.home, processes) !== null;
  const { phase } = state.value.stateFor(name, watched, now()).restarts;
  if (isSupervised && phase === "running") return fail("is_running", `${name} is running; nothing was changed.`);
  state.value.requestRestart(name);
  return ok({ phase, isSupervised });
}

/** [OB15] Programs of these settings by phase. */
export function programSamples(
  { watch }: SupervisorSettings,
  state: SupervisorState,
  now: number,
  isSupervised: boolean,
): Sample[] {
  return Object.entries(watch).flatMap(([name, target]) => {
    if (!isProgram(target)) return [];
    const { phase } = state.stateFor(name, target, now).restarts;
    const isOngoing = phase === "running" || phase === "due";
    // A killed supervisor leaves states of `running` that are no longer true.
    const label = isOngoing && !isSupervised ? "unwatched" : phase === "due" ? "waiting" : phase;
    return [{ name: "shim_supervisor_programs", labels: { phase: label }, value: 1 }];
  });
}
