import type { Failure } from "../../contract/errors.ts";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import type { Sample } from "../../contract/metrics.ts";
import { Json } from "../../contract/values.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { digest } from "../../machine/sessions/entries.ts";
import { isFolder } from "../../platform/paths.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import { isOnPath } from "../../platform/program-path.ts";
import { supervisorFolder, findSupervisor } from "../../platform/supervisor-mark.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { CommandWords, VariableNames } from "../worker/client/claude-executor.ts";
import { sessionsIn } from "../worker/client/continuation.ts";
import { RestartRules, initial, Restarts, dueInMs } from "./auto-restarter.ts";

const Text = z.string().min(1).max(4_096);

const Worker = z.strictObject({
  kind: z.literal("worker"),
  /** Arguments of `shim worker`: `["--config", "worker.yaml"]`. */
  args: z.array(z.string().max(4_096)).min(1).max(1_000),
  /** Relative to the folder of the settings. */
  folder: Text.optional(),
});

/** SHIM sets Claude Code's session itself, and reads its output. */
const reservedOption =
  /^(-p|--print|-c|--continue|-r|--resume|--session-id|--fork-session|--output-format|--input-format|--verbose)(=|$)/;

const Claude = z.strictObject({
  kind: z.literal("claude"),
  folder: Text,
  prompt: z.string().min(1).max(100_000),
  args: z
    .array(z.string().max(10_000))
    .max(1_000)
    .refine(
      (args) => !args.some((arg) => reservedOption.test(arg)),
      "SHIM sets -p, the session and the output format itself",
    )
    .default([]),
  program: Text.default("claude"),
  env: VariableNames,
});

/** Chats of Claude Code that the user has started. */
const Chats = z.strictObject({
  kind: z.literal("sessions"),
  /** Command that opens a terminal, to which the chat's is appended (`{cwd}`: its folder). */
  restartWith: CommandWords.optional(),
});

const WatchTarget = z.discriminatedUnion("kind", [Worker, Claude, Chats]);
type WatchTarget = z.infer<typeof WatchTarget>;
export type WatchedProgram = Exclude<WatchTarget, WatchedChats>;
export type WatchedChats = z.infer<typeof Chats>;
export type WatchedClaude = Extract<WatchTarget, { kind: "claude" }>;

/** Used as a file name. */
const watchName = /^[a-z0-9][a-z0-9_-]{0,63}$/;

export const SupervisorSettings = z.strictObject({
  watch: z
    .record(z.string(), WatchTarget)
    .refine((watch) => Object.keys(watch).length > 0, "name something to watch")
    .refine((watch) => Object.keys(watch).length <= 50, "at most 50 things to watch")
    .refine((watch) => Object.keys(watch).every((name) => watchName.test(name)), {
      message: "a name has 1 to 64 lowercase letters, digits, _ and -",
    }),
  restarts: RestartRules.prefault({}),
});
export type SupervisorSettings = z.infer<typeof SupervisorSettings>;

export function isProgram(watched: WatchTarget): watched is WatchedProgram {
  return watched.kind !== "sessions";
}

/** How long the system that starts the supervisor waits for its end: a worker may take 65 s. */
export const stopSeconds = 95;

/** A program or a folder that is not there. @param home folder of the settings */
export function findMissing({ watch }: SupervisorSettings, home: string, env: NodeJS.ProcessEnv): string | null {
  for (const [name, watched] of Object.entries(watch)) {
    const program = programOf(watched);
    if (program !== null && !isOnPath(program, env)) return `${name}: there is no program ${program}`;
    if (!isProgram(watched) || watched.folder === undefined) continue;
    const folder = resolve(home, watched.folder);
    if (!isFolder(folder)) return `${name}: there is no folder ${folder}`;
  }
  return null;
}

function programOf(watched: WatchTarget): string | null {
  if (watched.kind === "worker") return null;
  return watched.kind === "claude" ? watched.program : (watched.restartWith?.[0] ?? null);
}

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
  static open(home: string): Result<SupervisorState> {
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
  return fail("already_running", message).error;
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
export async function stopSupervisor({ paths, runtime }: Context, signal: AbortSignal): Promise<Result<number>> {
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
): Promise<Result<{ readonly phase: Restarts["phase"]; readonly isSupervised: boolean }>> {
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
