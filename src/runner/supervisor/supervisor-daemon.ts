import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import type { UsageLimit } from "../../contract/config.ts";
import type { CrashCause } from "../../contract/readings.ts";
import { isTaskPrompt } from "../../contract/task-prompt.ts";
import { untilAborted } from "../../coordinator-client/edge/platform.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { composeBrief } from "../../machine/recovery/brief/brief.ts";
import { restoreById, type Restoration } from "../../machine/recovery/incomplete/restoration.ts";
import { withLearnt } from "../../machine/recovery/learnt/session-items.ts";
import { planRelaunch } from "../../machine/recovery/relaunch.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { limitOf, ruleFor, waitAtLimit, whyStop, stoppedText } from "../../machine/sessions/usage/at-limit.ts";
import { isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import { programStart } from "../../platform/program-path.ts";
import { endMarked, hasMarks, runProgram, toMark } from "../../platform/run-program.ts";
import {
  findLastSupervisor,
  markSupervisor,
  supervisorFolder,
  unmarkSupervisor,
} from "../../platform/supervisor-mark.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import { isWithin } from "../../shared/known-time.ts";
import { fail, err, ok, type Result } from "../../shared/result.ts";
import { lockFile, loadDriver } from "../../store/open-driver.ts";
import type { RunDeps } from "../worker/client/client-run.ts";
import { giveBack, takeFor, logFailure } from "../worker/client/continuation.ts";
import { clientDeps, ownIdentity } from "../worker/machine-deps.ts";
import * as restarter from "./auto-restarter.ts";
import {
  countRestart,
  recordDeath,
  toEndedEvent,
  type DeathDeps,
  claudeProgram,
  type Program,
  type ProgramDeps,
  SupervisedProgram,
  workerProgram,
} from "./supervised-program.ts";
import {
  type WatchedChats,
  isProgram,
  type SupervisorSettings,
  type WatchedProgram,
  alreadyRunning,
  SupervisorState,
} from "./supervisor-state.ts";
import { whyNotRestart } from "../../machine/sessions/life/claim.ts";
import { claimOf } from "../../machine/sessions/recoveries.ts";

/** Opens a terminal that outlives the call. Rejects where the start fails. */
type OpenTerminal = (command: string, args: readonly string[], cwd: string) => Promise<void>;

export interface ChatWatchOptions extends DeathDeps {
  readonly name: string;
  readonly watched: WatchedChats;
  readonly rules: restarter.RestartRules;
  readonly isSupervised: (session: string) => boolean;
  readonly openTerminal: OpenTerminal;
  /** Aborted: the supervisor ends, and reports no more deaths. */
  readonly endSignal: AbortSignal;
}

const crashCauses: ReadonlySet<CrashCause> = new Set(["killed", "out_of_memory", "context_full"]);

interface PlannedRestart {
  readonly restarts: restarter.Restarts;
  /** Session that this one continues: the same id where it is resumed. */
  readonly sourceId: string;
}

const startTimeoutMs = 60_000;
/** Sessions silent for longer before the supervisor began are not followed. */
const maxSilenceMs = 30 * 86_400_000;

/** Chats of the user, which are restarted only where configured. */
class ChatWatch {
  readonly #options: ChatWatchOptions;
  /** Only a chat that was seen alive can die. */
  readonly #living = new Set<string>();
  readonly #planned = new Map<string, PlannedRestart>();

  constructor(options: ChatWatchOptions) {
    this.#options = options;
  }

  /** @param hasNews false: nothing was stored since the last check */
  async check(hasNews: boolean): Promise<void> {
    const { watched, runtime } = this.#options;
    for (const { id } of hasNews ? this.#takeDeaths() : []) {
      const ending = await this.#reportDeath(id);
      if (ending && watched.restartWith) this.#planRestart(id, ending);
    }
    const now = runtime.now();
    // A chat that is started now is checked the next time.
    for (const [id, planned] of new Map(this.#planned)) {
      if (restarter.dueInMs(planned.restarts, now) === 0) await this.#restart(id, planned.restarts);
      else await this.#checkStarted(id, planned, now);
    }
  }

  /** @returns each recorded death once; chats that ended well are not among them */
  #takeDeaths(): sessions.Session[] {
    const { isSupervised, runtime } = this.#options;
    const { store, processes, now } = runtime;
    return store.read((sql) => {
      for (const { id, client, owner, lastSeenAt } of sessions.listOpen(sql)) {
        if (now() - lastSeenAt > maxSilenceMs) break;
        if (client !== "claude-code" || this.#living.has(id)) continue;
        if (owner && isAlive(processes, owner)) this.#living.add(id);
      }
      return [...this.#living].flatMap((id) => {
        const session = sessions.get(sql, id);
        if (session && !session.ending?.isSettled) return [];
        this.#living.delete(id);
        return session && session.ending?.how !== "ended" && !isSupervised(id) ? [session] : [];
      });
    }, []);
  }

  /** @returns null where nothing is to be restarted */
  async #reportDeath(id: string): Promise<restarter.ProgramEnding | null> {
    const { name, runtime, emit, endSignal } = this.#options;
    const checkpoint = await recordDeath(this.#options, id);
    const restoration = restoreById(runtime, id);
    if (!restoration?.cause || restoration.session.ending?.how !== "died") return null;
    if (endSignal.aborted) return null;
    emit({ type: "died", name, session: id, cause: restoration.cause, checkpoint });
    return endingOfChat(restoration, runtime);
  }

  #planRestart(id: string, ending: restarter.ProgramEnding): void {
    const { name, runtime, rules, emit } = this.#options;
    const { restarts: earlier, sourceId = id } = this.#planned.get(id) ?? {};
    const now = runtime.now();
    const previous = earlier ?? restarter.initial(now);
    const restarts = restarter.afterEnd(previous, ending, now, rules);
    this.#planned.set(id, { restarts, sourceId });
    emit(toEndedEvent({ name: `${name} ${sourceId}`, isProgram: false }, previous, restarts, now));
  }

  async #restart(id: string, restarts: restarter.Restarts): Promise<void> {
    const { name, runtime, watched, emit, openTerminal } = this.#options;
    const restoration = restoreById(runtime, id);
    this.#planned.delete(id);
    if (!restoration) return;
    if (runtime.store.read((sql) => whyNotRestart(sql, runtime, restoration.session) !== null, true)) return;
    const plan = await planRelaunch(runtime, composeBrief(withLearnt(runtime, restoration), runtime.now()));
    const cwd = plan?.cwd;
    if (!plan || !cwd) {
      const message = `session ${id} cannot be restarted: its folder no longer exists`;
      return emit({ type: "problem", name, message });
    }
    if (plan.newId !== null) await takeFor(this.#options, id, plan.newId);
    this.#planned.set(plan.newId ?? id, { restarts: restarter.afterStart(restarts, runtime.now()), sourceId: id });
    const [command = "", ...opener] = (watched.restartWith ?? []).map((word) => word.replaceAll("{cwd}", cwd));
    try {
      await openTerminal(command, [...opener, plan.command, ...plan.args], cwd);
      countRestart(this.#options, restarts);
      emit({ type: "restarting", name, session: id, how: plan.reason });
    } catch (error) {
      emit({ type: "problem", name, message: `${command} cannot be started: ${messageOf(error)}` });
    }
  }

  async #checkStarted(id: string, { restarts, sourceId }: PlannedRestart, now: number): Promise<void> {
    const { runtime } = this.#options;
    if (restarts.phase !== "running") return;
    if (this.#living.has(id) || isWithin(now - restarts.since, startTimeoutMs)) return;
    const session = runtime.store.read((sql) => sessions.get(sql, id), null);
    if (session && session.lastSeenAt > restarts.since) return;
    if (id !== sourceId) await giveBack(this.#options, sourceId, id);
    this.#planned.delete(id);
    this.#planned.set(sourceId, { restarts, sourceId });
    this.#planRestart(sourceId, { kind: "crashed", reason: "no chat started" });
  }
}

/** An unknown cause, or a close by the user, plans no restart. */
function endingOfChat({ cause, session, state }: Restoration, runtime: Runtime): restarter.ProgramEnding | null {
  if (runtime.store.read((sql) => claimOf(sql, session.id), null) !== null) return null;
  // The worker continues the task itself.
  if (isTaskPrompt(state.prompts[0]?.text ?? "")) return null;
  const limit = runtime.store.read((sql) => limitOf(sql, session), null);
  if (limit) return waitsByRule(session, runtime) ? endingAtLimit(limit, runtime.now()) : null;
  return cause !== null && crashCauses.has(cause) ? { kind: "crashed", reason: cause.replaceAll("_", " ") } : null;
}

function endingAtLimit({ resetsAtMs }: UsageLimit, now: number): restarter.ProgramEnding {
  const isKnown = resetsAtMs !== null && resetsAtMs > now;
  const waitMs = isKnown ? waitAtLimit({ resetsAtMs }, now, 0).waitMs : null;
  return { kind: "limited", waitMs, reason: "a usage limit was reached" };
}

/** A chat of the user is started again only in its own client. */
function waitsByRule({ cwd, lastSeenAt }: sessions.Session, runtime: Runtime): boolean {
  const rule = cwd === null ? null : ruleFor(runtime.config.atLimit, cwd);
  if (cwd === null || rule?.order.includes("wait") !== true) return false;
  return whyStop(runtime, cwd, rule, { since: lastSeenAt, closed: {}, waits: 0, sessions: [] }) === null;
}

interface Supervision extends Pick<SupervisorOptions, "emit" | "wait" | "stoppedAt"> {
  readonly endSignal: AbortSignal;
  /** Aborted: what still runs is ended at once. */
  readonly hurrySignal: AbortSignal;
}

/** Supervises as the home's only supervisor, until it is asked to end. */
export async function supervise(
  context: OperationContext,
  settings: SupervisorSettings,
  { endSignal, hurrySignal, ...more }: Supervision,
): Promise<Result<void>> {
  const { paths, hostClient } = context;
  const { home: folder } = paths;
  const deps = await clientDeps(context);
  const { runtime, call } = deps;
  const identified = ownIdentity(runtime.processes);
  if (!identified.ok) return identified;
  const self = identified.value;
  const lock = lockFile(join(supervisorFolder(folder), "lock"), (await loadDriver()).open);
  const previous = findLastSupervisor(folder);
  if (!lock) return err(alreadyRunning(previous));
  const over = new AbortController();
  try {
    const state = SupervisorState.open(folder);
    if (!state.ok) return state;
    markSupervisor(folder, self);
    await logFailure(runtime, "what hooks have left was not stored", call("recovery.catch-up", {}));
    const own = { ...deps, settings, folder, state: state.value, self, previous };
    const daemon = new SupervisorDaemon({ ...own, ...more, run: runProgram, openTerminal });
    void hostClient?.stayConnected({
      onStored: () => daemon.noteStored(),
      onProblem: (message) => runtime.log("warn", message),
      until: over.signal,
    });
    const end = await daemon.run(endSignal, hurrySignal);
    unmarkSupervisor(folder);
    if (end === "asked") return ok(undefined);
    // A service restarts it after this failure.
    return fail(
      "memory_limit",
      `the supervisor used more than ${maxMegabytes} MB and has ended, with all that it ran. \`shim worker supervise\` continues where it stopped.`,
    );
  } finally {
    over.abort();
    lock.close();
  }
}

/** The opener may live as long as its terminal, and outlives the supervisor. */
export const openTerminal: OpenTerminal = (command, args, cwd) =>
  new Promise((resolve, reject) => {
    const start = programStart(command, args, process.env);
    const child = spawn(start.file, start.args, { cwd, detached: true, stdio: "ignore" });
    child.once("error", reject);
    child.once("spawn", () => {
      child.unref();
      resolve();
    });
  });

export interface SupervisorOptions extends ProgramDeps, Pick<RunDeps, "monotonic" | "stopTimeouts"> {
  readonly settings: SupervisorSettings;
  /** Folder of the settings; their paths are relative to it. */
  readonly folder: string;
  readonly self: ProcessIdentity;
  readonly previous: ProcessIdentity | null;
  readonly openTerminal: OpenTerminal;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** When the user last stopped the rules for usage limits, epoch ms; absent: never. */
  readonly stoppedAt?: () => number | null;
}

/** asked: by a signal; memory: over its memory limit. */
export type SupervisorEnd = "asked" | "memory";

/** Time between two checks of what no one reports: its memory, and what the user asks for. */
const checkEveryMs = 2_000;
const leftoverMs = 3_000;
const maxMegabytes = 256;
const bytesPerMb = 1_048_576;

/** Checks what is due until it is asked to end; then ends all its programs. */
export class SupervisorDaemon {
  readonly #options: SupervisorOptions;
  readonly #programs: readonly SupervisedProgram[];
  readonly #chats: readonly ChatWatch[];
  readonly #endController = new AbortController();
  #wakeController = new AbortController();
  #hasNews = true;
  #problem: string | null = null;
  #stoppedAt: number | null = null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const watch = Object.entries(options.settings.watch);
    const wake = (): void => this.#wakeController.abort();
    this.#programs = watch.flatMap(([name, target]) =>
      isProgram(target) ? [new SupervisedProgram(options, name, target, this.#programOf(target), wake)] : [],
    );
    const shared = {
      ...options,
      rules: options.settings.restarts,
      isSupervised: (session: string) => this.#programs.some((program) => program.isSessionOf(session)),
      endSignal: this.#endController.signal,
    };
    this.#chats = watch.flatMap(([name, watched]) =>
      isProgram(watched) ? [] : [new ChatWatch({ ...shared, name, watched })],
    );
  }

  /** Deaths and ends of chats may be among what was stored. */
  noteStored(): void {
    this.#hasNews = true;
  }

  /** @param hurrySignal aborted: programs that still run get TERM at once */
  async run(endSignal: AbortSignal, hurrySignal: AbortSignal): Promise<SupervisorEnd> {
    const { self, previous, settings, emit, wait, runtime } = this.#options;
    const isTooLarge = (): boolean =>
      (runtime.processes.facts(self.pid)?.residentBytes ?? 0) > maxMegabytes * bytesPerMb;
    const onEnd = (): void => {
      this.#endController.abort();
      this.#wakeController.abort();
    };
    endSignal.addEventListener("abort", onEnd, { once: true });
    // Leftovers of an earlier supervisor end before any start: never two of one program.
    if (previous?.boot === self.boot) {
      if (hasMarks) await endMarked(toMark(previous));
      // Watchdogs of the earlier supervisor end them within this time.
      else await wait(leftoverMs, endSignal);
    }
    emit({ type: "supervising", pid: self.pid, watched: Object.keys(settings.watch) });
    while (!endSignal.aborted && !isTooLarge()) {
      this.#wakeController = new AbortController();
      await untilAborted(this.#check(), endSignal);
      const dueTimes = this.#programs.flatMap((program) => program.dueInMs() ?? []);
      if (!endSignal.aborted) await wait(Math.min(checkEveryMs, ...dueTimes), this.#wakeController.signal);
    }
    const end = endSignal.aborted ? "asked" : "memory";
    emit({ type: "ending", reason: end === "asked" ? "asked to end" : `it uses more than ${maxMegabytes} MB` });
    hurrySignal.addEventListener("abort", () => void endMarked(toMark(self)), { once: true });
    await Promise.all(this.#programs.map((program) => program.leave()));
    return end;
  }

  async #check(): Promise<void> {
    const stoppedAt = this.#options.stoppedAt?.() ?? null;
    if (stoppedAt !== this.#stoppedAt) for (const program of this.#programs) program.stopRule(stoppedText);
    this.#stoppedAt = stoppedAt;
    for (const program of this.#programs) program.check();
    const hasNews = this.#hasNews;
    this.#hasNews = false;
    for (const chats of this.#chats) {
      try {
        await chats.check(hasNews);
        this.#problem = null;
      } catch (error) {
        // The store is checked again a moment later; one report is enough.
        this.#hasNews = true;
        const message = messageOf(error);
        if (message !== this.#problem) this.#options.emit({ type: "problem", name: null, message });
        this.#problem = message;
      }
    }
  }

  #programOf(watched: WatchedProgram): Program {
    const { runtime, launch } = this.#options;
    const folder = resolve(this.#options.folder, watched.folder ?? ".");
    if (watched.kind === "claude") return claudeProgram({ ...this.#options, watched, folder });
    const args = [launch.script, "worker", ...watched.args];
    const env = { ...runtime.env, SHIM_HOME: runtime.paths.home };
    return workerProgram(this.#options, { command: launch.node, args, cwd: folder, env });
  }
}
