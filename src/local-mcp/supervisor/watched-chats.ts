import { existsSync } from "node:fs";
import type { CrashCause } from "../../contract/readings.ts";
import { messageOf } from "../../shared/error.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { mayBeAlive } from "../processes.ts";
import { brief } from "../recovery/brief.ts";
import { take } from "../recovery/recover.ts";
import type { Restoration } from "../recovery/restoration.ts";
import { checkTranscript, planStart, withdrawOffer } from "../recovery/start.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import * as restarter from "./auto-restarter.ts";
import { mourn, restorationOf, type WatchOptions } from "./chat-death.ts";
import type { Ending } from "./program-end.ts";
import { ProcessMonitor } from "./process-monitor.ts";
import type { WatchedSessions } from "./settings.ts";
import { isWithin } from "../../shared/elapsed.ts";

export interface ChatWatchOptions extends WatchOptions {
  readonly watched: WatchedSessions;
}

const crashes: ReadonlySet<CrashCause> = new Set(["killed", "out_of_memory", "context_full"]);

interface Planned {
  readonly restarts: restarter.Restarts;
  /** The session that this one goes on with; the same, where it is resumed. */
  readonly from: string;
}

/** A chat that was started is seen within this time, or has died again. */
const beginMs = 60_000;

/** Chats that the user has started: their last checkpoint is kept, their death attested. [SU11] Started again only where the settings say how. */
export class ChatWatch {
  readonly #options: ChatWatchOptions;
  readonly #monitor: ProcessMonitor;
  /** Of the sessions that are to be started again, or have been: those that were begun for others by their own ids. */
  readonly #planned = new Map<string, Planned>();

  constructor(options: ChatWatchOptions) {
    this.#options = options;
    const { runtime, isOwn } = options;
    this.#monitor = new ProcessMonitor(runtime, ({ id, client }) => client === "claude-code" && !isOwn(id));
  }

  async check(): Promise<void> {
    for (const session of this.#monitor.check()) await this.#died(session);
    const now = this.#options.runtime.now();
    for (const [id, planned] of this.#planned) {
      if (restarter.dueIn(planned.restarts, now) === 0) await this.#again(id, planned.restarts);
      else this.#seeBegun(id, planned, now);
    }
  }

  async #died({ id }: sessions.Session): Promise<void> {
    const from = await mourn(this.#options, id);
    const ending = from && this.#endingOf(from);
    if (ending) this.#plan(id, ending, this.#options.runtime.now());
  }

  /** What nobody knows the cause of, and what the user has closed, stays closed. */
  #endingOf({ cause, session, state }: Restoration): Ending | null {
    const { watched } = this.#options;
    if (!watched.restartWith || session.recovery !== null) return null;
    // Its worker goes on with it.
    if (state.firstPrompt?.startsWith("Do task ")) return null;
    if (cause === "usage_limit") return { kind: "limited", resetsAtMs: null };
    return cause !== null && crashes.has(cause) ? { kind: "crashed", reason: cause.replaceAll("_", " ") } : null;
  }

  #plan(id: string, ending: Ending, now: number): void {
    const { name, rules, tell } = this.#options;
    const before = this.#planned.get(id)?.restarts ?? restarter.begun(now);
    const restarts = restarter.ended(before, ending, now, { when: "on-crash", rules });
    this.#planned.set(id, { restarts, from: id });
    const { phase, reason } = restarts;
    const againInMs = restarter.dueIn(restarts, now);
    tell({
      type: "ended",
      name: `${name} ${id}`,
      phase,
      reason,
      againInMs,
      ranMs: now - before.since,
      isProgram: false,
    });
  }

  async #again(id: string, restarts: restarter.Restarts): Promise<void> {
    const { runtime } = this.#options;
    const from = restorationOf(runtime, id);
    if (!from || isTaken(from, runtime)) return void this.#planned.delete(id);
    const now = runtime.now();
    const newId = uuidv7(now, runtime.random(16));
    const transcript = checkTranscript(from.session.transcriptPath, id);
    const plan = planStart(from.session, transcript, { id: newId, brief: brief(from, now, "resume") });
    const cwd = [from.session.cwd, from.session.project].find((folder) => folder !== null && existsSync(folder));
    if (plan && cwd && plan.newId !== null) take(runtime, from, plan.newId);
    this.#planned.delete(id);
    if (!plan || !cwd) return this.#problem(`session ${id} cannot be started again: its folder is gone`);
    this.#planned.set(plan.newId ?? id, { restarts: restarter.started(restarts, now), from: id });
    await this.#open([plan.command, ...plan.args], cwd, id, plan.reason);
  }

  async #open(words: readonly string[], cwd: string, session: string, how: string): Promise<void> {
    const { name, watched, open, tell } = this.#options;
    const opener = watched.restartWith ?? [];
    const [command = "", ...args] = [...opener.map((word) => word.replaceAll("{cwd}", cwd)), ...words];
    try {
      await open(command, args, cwd);
      tell({ type: "restarting", name, session, how });
    } catch (error) {
      this.#problem(`${command} cannot be started: ${messageOf(error)}`);
    }
  }

  #problem(message: string): void {
    this.#options.tell({ type: "problem", name: this.#options.name, message });
  }

  /** What was started and never became a chat has died. */
  #seeBegun(id: string, { restarts, from }: Planned, now: number): void {
    if (restarts.phase !== "running" || this.#monitor.isAlive(id) || isWithin(now - restarts.since, beginMs)) return;
    const { runtime } = this.#options;
    const session = runtime.store.read((sql) => sessions.get(sql, id), null);
    if (session && session.lastSeenAt > restarts.since) return;
    if (id !== from) withdrawOffer(runtime, from, id);
    this.#planned.delete(id);
    this.#planned.set(from, { restarts, from });
    this.#plan(from, { kind: "crashed", reason: "no chat began" }, now);
  }
}

/** Somebody goes on with it, or nobody is to. */
function isTaken({ session }: Restoration, { processes }: Runtime): boolean {
  if (session.endedAt !== null || session.recovery === "recovered" || session.recovery === "dismissed") return true;
  return session.owner !== null && mayBeAlive(processes, session.owner);
}
