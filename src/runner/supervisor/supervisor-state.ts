import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { parseJson } from "../../shared/json-fields.ts";
import { fail, type Failure, ok, type Result } from "../../shared/result.ts";
import { Json } from "../../contract/json.ts";
import { sessionsIn } from "../worker/client/continuation.ts";
import { digest } from "../../machine/sessions/entries.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { initial, Restarts, dueInMs } from "./auto-restarter.ts";
import { supervisorFolder, findSupervisor } from "../../platform/supervisor-mark.ts";
import { type WatchedProgram, isProgram, type SupervisorSettings, type WatchTarget } from "./supervisor-settings.ts";
import { setTimeout as pause } from "node:timers/promises";
import type { OperationContext } from "../../machine/operations/operation-context.ts";
import type { Sample } from "../../contract/metrics.ts";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";

/** Stored. Add fields as optional. */
const ProgramState = z.object({
  /** Hash of its settings: changed settings start fresh. */
  settings: z.string(),
  restarts: Restarts,
  /** Names the session that its next run continues. */
  checkpoint: z.record(z.string(), Json),
});
export type ProgramState = z.infer<typeof ProgramState>;

const State = z.object({ programs: z.record(z.string(), ProgramState) });

/** Program states across supervisors of one home. A file, since the store may be what fails. */
export class SupervisorState {
  readonly #folder: string;
  readonly #programs: Record<string, ProgramState>;

  private constructor(folder: string, programs: Record<string, ProgramState>) {
    this.#folder = folder;
    this.#programs = programs;
  }

  /** Refuses an unreadable file: programs must not start fresh because their state is unknown. */
  static open(home: string): Result<SupervisorState, Failure> {
    const folder = supervisorFolder(home);
    const file = join(folder, "state.json");
    const stored = existsSync(file) ? State.safeParse(parseJson(readFileSync(file, "utf8"))).data : { programs: {} };
    if (stored) return ok(new SupervisorState(folder, stored.programs));
    const advice = "remove it, and every program starts again, even those that had ended";
    return fail("state_damaged", `${file} is damaged: ${advice}.`);
  }

  stateFor(name: string, watched: WatchedProgram, now: number): ProgramState {
    const settings = digest(JSON.stringify(watched));
    const stored = this.#programs[name];
    return stored?.settings === settings ? stored : { settings, restarts: initial(now), checkpoint: {} };
  }

  /** Durable when it returns: a program starts only after that. */
  save(name: string, state: ProgramState): void {
    this.#programs[name] = state;
    createPrivateFolder(this.#folder);
    writeAtomically(join(this.#folder, "state.json"), `${JSON.stringify({ programs: this.#programs }, null, 2)}\n`);
  }

  requestRestart(name: string): void {
    mkdirSync(join(this.#folder, "again"), { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#folder, "again", name), "", { mode: 0o600 });
  }

  /** @returns whether a restart was requested; true once per request */
  takeRestartRequest(name: string): boolean {
    const path = join(this.#folder, "again", name);
    if (!existsSync(path)) return false;
    rmSync(path, { force: true });
    return true;
  }
}

type Context = Pick<OperationContext, "paths" | "runtime">;

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

/** Targets of these settings, in their order. */
export function watchedStates(
  { watch }: SupervisorSettings,
  state: SupervisorState,
  now: number,
  isSupervised: boolean,
): WatchedState[] {
  return Object.entries(watch).map(([name, target]) => {
    const { kind } = target;
    const known = isProgram(target) ? state.stateFor(name, target, now) : null;
    // A killed supervisor leaves programs as running that are no longer.
    if (known === null || (!isSupervised && known.restarts.phase === "running")) {
      const phase = isSupervised ? "watched" : "unwatched";
      return { name, kind, phase, reason: null, session: null, againInMs: null };
    }
    const { phase, reason } = known.restarts;
    return {
      name,
      kind,
      phase,
      reason,
      session: sessionsIn(known.checkpoint)[0] ?? null,
      againInMs: dueInMs(known.restarts, now),
    };
  });
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

/** Programs of these settings by phase. */
export function programSamples(...given: Parameters<typeof watchedStates>): Sample[] {
  const isSupervised = given[3];
  const programs = watchedStates(...given).filter(({ kind }) => kind !== "sessions");
  return programs.map(({ phase }) => {
    const label = phase !== "due" ? phase : isSupervised ? "waiting" : "unwatched";
    return { name: "shim_supervisor_programs", labels: { phase: label }, value: 1 };
  });
}
