import * as sessions from "../local-mcp/sessions/sessions.ts";
import * as restarter from "./auto-restarter.ts";
import type { CrashCause } from "../contract/readings.ts";
import { mayBeAlive } from "../platform/processes.ts";
import { restoreById, type Restoration } from "../local-mcp/recovery/restoration.ts";
import { folderOf, planRelaunch } from "../local-mcp/recovery/relaunch.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { logFailure, notUpdated } from "../worker-runner/client/continuation.ts";
import { planRestart, reportDeath, startInTerminal, type WatchOptions } from "./chat-death.ts";
import type { ProgramEnding } from "./program-end.ts";
import { RecordedDeaths } from "./recorded-deaths.ts";
import type { WatchedSessions } from "./supervisor-settings.ts";
import { isWithin } from "../shared/elapsed.ts";

export interface ChatWatchOptions extends WatchOptions {
  readonly watched: WatchedSessions;
}

const crashCauses: ReadonlySet<CrashCause> = new Set(["killed", "out_of_memory", "context_full"]);

interface PlannedRestart {
  readonly restarts: restarter.Restarts;
  /** Session that this one continues; the same id where it is resumed. */
  readonly sourceId: string;
}

const startTimeoutMs = 60_000;

/** [SU41] Chats that the user has started are restarted only where configured. */
export class ChatWatch {
  readonly #options: ChatWatchOptions;
  readonly #deaths: RecordedDeaths;
  readonly #planned = new Map<string, PlannedRestart>();

  constructor(options: ChatWatchOptions) {
    this.#options = options;
    const { runtime, isSupervised } = options;
    this.#deaths = new RecordedDeaths(runtime, ({ id, client }) => client === "claude-code" && !isSupervised(id));
  }

  async check(hasNews: boolean): Promise<void> {
    for (const session of hasNews ? this.#deaths.take() : []) await this.#onDied(session);
    const now = this.#options.runtime.now();
    for (const [id, planned] of this.#planned) {
      if (restarter.dueInMs(planned.restarts, now) === 0) await this.#restart(id, planned.restarts);
      else await this.#checkStarted(id, planned, now);
    }
  }

  async #onDied({ id }: sessions.Session): Promise<void> {
    const restoration = await reportDeath(this.#options, id);
    const ending = restoration && this.#endingOf(restoration);
    if (ending) this.#planRestart(id, ending);
  }

  /** An unknown cause, or a close by the user, plans no restart. */
  #endingOf({ cause, session, state }: Restoration): ProgramEnding | null {
    const { watched } = this.#options;
    if (!watched.restartWith || session.recovery !== null) return null;
    // The worker continues the task itself.
    if (state.prompts[0]?.text.startsWith("Do task ")) return null;
    if (cause === "usage_limit") return { kind: "limited", resetsAtMs: null };
    return cause !== null && crashCauses.has(cause) ? { kind: "crashed", reason: cause.replaceAll("_", " ") } : null;
  }

  #planRestart(id: string, ending: ProgramEnding): void {
    const earlier = this.#planned.get(id)?.restarts ?? null;
    const restarts = planRestart(this.#options, `${this.#options.name} ${id}`, earlier, ending);
    this.#planned.set(id, { restarts, sourceId: id });
  }

  async #restart(id: string, restarts: restarter.Restarts): Promise<void> {
    const { runtime } = this.#options;
    const restoration = restoreById(runtime, id);
    if (!restoration || isClaimed(restoration, runtime)) return void this.#planned.delete(id);
    const plan = planRelaunch(runtime, restoration);
    const cwd = folderOf(restoration);
    this.#planned.delete(id);
    if (!plan || !cwd) {
      const message = `session ${id} cannot be restarted: its folder no longer exists`;
      return this.#options.emit({ type: "problem", name: this.#options.name, message });
    }
    if (plan.newId !== null)
      await logFailure(runtime, notUpdated, this.#options.call("recovery.take", { session: id, chat: plan.newId }));
    this.#planned.set(plan.newId ?? id, { restarts: restarter.afterStart(restarts, runtime.now()), sourceId: id });
    const opener = (this.#options.watched.restartWith ?? []).map((word) => word.replaceAll("{cwd}", cwd));
    const command = [...opener, plan.command, ...plan.args];
    await startInTerminal(this.#options, restarts, command, cwd, { session: id, how: plan.reason });
  }

  async #checkStarted(id: string, { restarts, sourceId }: PlannedRestart, now: number): Promise<void> {
    if (restarts.phase !== "running" || this.#deaths.isAlive(id) || isWithin(now - restarts.since, startTimeoutMs))
      return;
    const { runtime, call } = this.#options;
    const session = runtime.store.read((sql) => sessions.get(sql, id), null);
    if (session && session.lastSeenAt > restarts.since) return;
    if (id !== sourceId)
      await logFailure(runtime, notUpdated, call("recovery.withdraw", { session: sourceId, chat: id }));
    this.#planned.delete(id);
    this.#planned.set(sourceId, { restarts, sourceId });
    this.#planRestart(sourceId, { kind: "crashed", reason: "no chat started" });
  }
}

function isClaimed({ session }: Restoration, { processes }: Runtime): boolean {
  if (session.endedAt !== null || session.recovery === "recovered" || session.recovery === "dismissed") return true;
  return session.owner !== null && mayBeAlive(processes, session.owner);
}
