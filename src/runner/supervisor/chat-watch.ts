import type { UsageLimit } from "../../contract/at-limit.ts";
import { isTaskPrompt } from "../../contract/task-prompt.ts";
import type { CrashCause } from "../../contract/readings.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { isClosed } from "../../machine/sessions/activity.ts";
import { isAlive, mayBeAlive } from "../../platform/processes.ts";
import { limitOf, ruleFor, waitAtLimit, whyStop } from "../../machine/usage/at-limit.ts";
import { restoreById, type Restoration } from "../../machine/recovery/incomplete/restoration.ts";
import { composeBrief } from "../../machine/recovery/brief/brief.ts";
import { folderOf, planRelaunch } from "../../machine/recovery/relaunch.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { giveBack, takeFor } from "../worker/client/continuation.ts";
import { messageOf } from "../../shared/error.ts";
import * as restarter from "./auto-restarter.ts";
import { countRestart, recordDeath, toEndedEvent, type DeathDeps } from "./supervised-program.ts";
import type { WatchedChats } from "./supervisor-settings.ts";
import { isWithin } from "../../shared/known-time.ts";

/** Opens a terminal that outlives the call. Rejects where the start fails. */
export type OpenTerminal = (command: string, args: readonly string[], cwd: string) => Promise<void>;

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
export class ChatWatch {
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
      for (const { id, client, owner, deathAt, lastSeenAt } of sessions.listOpen(sql)) {
        if (now() - lastSeenAt > maxSilenceMs) break;
        if (deathAt !== null || client !== "claude-code" || this.#living.has(id)) continue;
        if (owner && isAlive(processes, owner)) this.#living.add(id);
      }
      return [...this.#living].flatMap((id) => {
        const session = sessions.get(sql, id);
        if (session?.deathAt === null && session.endedAt === null) return [];
        this.#living.delete(id);
        return session?.endedAt === null && !isSupervised(id) ? [session] : [];
      });
    }, []);
  }

  /** @returns null where nothing is to be restarted */
  async #reportDeath(id: string): Promise<restarter.ProgramEnding | null> {
    const { name, runtime, emit, endSignal } = this.#options;
    const checkpoint = await recordDeath(this.#options, id);
    const restoration = restoreById(runtime, id);
    if (!restoration?.cause || restoration.session.endedAt !== null || isClosed(restoration.session)) return null;
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
    if (!restoration || isClaimed(restoration, runtime)) return;
    const plan = planRelaunch(runtime, composeBrief(restoration, runtime.now()));
    const cwd = folderOf(restoration);
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
  if (session.recovery !== null) return null;
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

function isClaimed({ session }: Restoration, { processes }: Runtime): boolean {
  if (session.endedAt !== null || session.recovery === "recovered" || session.recovery === "dismissed") return true;
  return session.owner !== null && mayBeAlive(processes, session.owner);
}
