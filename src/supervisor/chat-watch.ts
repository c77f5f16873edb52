import { existsSync } from "node:fs";
import type { CrashCause } from "../contract/readings.ts";
import { isWithin } from "../shared/elapsed.ts";
import { uuidv7 } from "../shared/ids.ts";
import { brief } from "../local-mcp/recovery/brief.ts";
import { take } from "../local-mcp/recovery/recover.ts";
import { checkTranscript, planStart, withdrawOffer } from "../local-mcp/recovery/relaunch.ts";
import type { Restoration } from "../local-mcp/recovery/restoration.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { mayBeAlive } from "../platform/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import * as restarter from "./auto-restarter.ts";
import {
  openReported,
  planRestart,
  reportDeath,
  findRestoration,
  type WatchOptions,
  ProcessMonitor,
} from "./chat-death.ts";
import type { ProgramEnding } from "./program-run.ts";
import type { WatchedSessions } from "./supervisor-settings.ts";

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

/** [SU11] Chats that the user has started are restarted only where configured. */
export class ChatWatch {
  readonly #options: ChatWatchOptions;
  readonly #monitor: ProcessMonitor;
  readonly #planned = new Map<string, PlannedRestart>();

  constructor(options: ChatWatchOptions) {
    this.#options = options;
    const { runtime, isSupervised } = options;
    this.#monitor = new ProcessMonitor(runtime, ({ id, client }) => client === "claude-code" && !isSupervised(id));
  }

  async check(): Promise<void> {
    for (const session of this.#monitor.check()) await this.#onDied(session);
    const now = this.#options.runtime.now();
    for (const [id, planned] of this.#planned) {
      if (restarter.dueInMs(planned.restarts, now) === 0) await this.#restart(id, planned.restarts);
      else this.#checkStarted(id, planned, now);
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
    if (state.firstPrompt?.startsWith("Do task ")) return null;
    if (cause === "usage_limit") return { kind: "limited", resetsAtMs: null };
    return cause !== null && crashCauses.has(cause) ? { kind: "crashed", reason: cause.replaceAll("_", " ") } : null;
  }

  #planRestart(id: string, ending: ProgramEnding): void {
    const restarts = planRestart(this.#options, `${this.#options.name} ${id}`, this.#planned.get(id)?.restarts, ending);
    this.#planned.set(id, { restarts, sourceId: id });
  }

  async #restart(id: string, restarts: restarter.Restarts): Promise<void> {
    const { runtime } = this.#options;
    const restoration = findRestoration(runtime, id);
    if (!restoration || isClaimed(restoration, runtime)) return void this.#planned.delete(id);
    const now = runtime.now();
    const newId = uuidv7(now, runtime.random(16));
    const transcript = checkTranscript(restoration.session.transcriptPath, id);
    const plan = planStart(restoration.session, transcript, { id: newId, brief: brief(restoration, now, "resume") });
    const cwd = [restoration.session.cwd, restoration.session.project].find(
      (folder) => folder !== null && existsSync(folder),
    );
    if (plan && cwd && plan.newId !== null) take(runtime, restoration, plan.newId);
    this.#planned.delete(id);
    if (!plan || !cwd) {
      const message = `session ${id} cannot be started again: its folder is gone`;
      return this.#options.emit({ type: "problem", name: this.#options.name, message });
    }
    this.#planned.set(plan.newId ?? id, { restarts: restarter.afterStart(restarts, now), sourceId: id });
    const commandLine = [...this.#openerIn(cwd), plan.command, ...plan.args];
    await openReported(this.#options, commandLine, cwd, { session: id, how: plan.reason });
  }

  #openerIn(cwd: string): string[] {
    return (this.#options.watched.restartWith ?? []).map((word) => word.replaceAll("{cwd}", cwd));
  }

  #checkStarted(id: string, { restarts, sourceId }: PlannedRestart, now: number): void {
    if (restarts.phase !== "running" || this.#monitor.isAlive(id) || isWithin(now - restarts.since, startTimeoutMs))
      return;
    const { runtime } = this.#options;
    const session = runtime.store.read((sql) => sessions.get(sql, id), null);
    if (session && session.lastSeenAt > restarts.since) return;
    if (id !== sourceId) withdrawOffer(runtime, sourceId, id);
    this.#planned.delete(id);
    this.#planned.set(sourceId, { restarts, sourceId });
    this.#planRestart(sourceId, { kind: "crashed", reason: "no chat began" });
  }
}

function isClaimed({ session }: Restoration, { processes }: Runtime): boolean {
  if (session.endedAt !== null || session.recovery === "recovered" || session.recovery === "dismissed") return true;
  return session.owner !== null && mayBeAlive(processes, session.owner);
}
