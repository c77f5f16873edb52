import { savingMs } from "../../contract/hook-limits.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { HookEvent } from "../../contract/hooks.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { capture } from "../../machine/sessions/checkpoints/capture.ts";
import { countedTrigger } from "../../machine/sessions/checkpoints/triggers.ts";
import { isToolEnd } from "../../machine/sessions/hook-entries.ts";
import { observeRow, readInSteps } from "../../machine/sessions/signals/observe.ts";
import { isSessionPaused } from "../../machine/sessions/session-settings.ts";
import * as sessions from "../../machine/sessions/sessions.ts";

/** Work that an event leaves for after its answer. */
export interface DeferredWork {
  /** With the variables of the event's chat, which are git's. */
  readonly runtime: Runtime;
  readonly event: HookEvent;
  readonly sessionId: string;
  /** Why a checkpoint is due at once. */
  readonly trigger: Trigger | null;
  readonly isTranscriptBehind: boolean;
}

/** Whether the answer awaits the work, which saves the files: they may change behind it. */
function isAwaited({ event, trigger }: DeferredWork): boolean {
  return (event === "PreToolUse" || event === "PreCompact") && trigger !== null;
}

/**
 * Reads the rest of the transcript, takes the readings, and a due checkpoint. Never rejects:
 * what fails is done by the next event or the timer.
 *
 * @returns why a checkpoint was due
 */
export async function finishEvent(work: DeferredWork): Promise<Trigger | null> {
  const { runtime, event, sessionId } = work;
  try {
    if (work.isTranscriptBehind) await readInSteps(runtime, sessionId);
    // A call that waits is not held up by readings.
    const counted = event === "PreToolUse" ? null : takeReadings(runtime, event, sessionId);
    const trigger = work.trigger ?? counted;
    const saved = trigger && capture(runtime, { sessionId, trigger });
    if (saved?.ok === false && saved.error.code === "too_large")
      runtime.log("warn", "checkpoint too large", saved.error);
    return trigger;
  } catch (error) {
    runtime.log("error", "the work after a hook event failed", { error: stackOf(error) });
    return null;
  }
}

function takeReadings(runtime: Runtime, event: HookEvent, sessionId: string): Trigger | null {
  return runtime.store.write((sql) => {
    const session = sessions.get(sql, sessionId);
    if (!session || isSessionPaused(sql, runtime.now(), session)) return null;
    const { facts, config } = observeRow(sql, runtime, session);
    return countedTrigger(event, facts, config.checkpoint);
  });
}

export interface SettlingOptions {
  /** Never rejects. */
  readonly finish: (work: DeferredWork) => Promise<unknown>;
  /** @param isDue a checkpoint waits for it */
  readonly schedule: (settle: () => void, isDue: boolean) => void;
  readonly pause: (ms: number) => Promise<unknown>;
}

/** Readings may be this much older than the event: a quick series of tool calls has them once. */
const settleMs = 250;

/** Schedule of a host. */
export function scheduleSettling(settle: () => void, isDue: boolean): void {
  if (isDue) setImmediate(settle);
  else setTimeout(settle, settleMs).unref();
}

/** Joins what the events of a chat leave within a short time, so that it is done once. */
export class Settling {
  readonly #options: SettlingOptions;
  readonly #left = new Map<string, DeferredWork>();

  constructor(options: SettlingOptions) {
    this.#options = options;
  }

  /** @returns resolves when the answer may be given */
  async add(work: DeferredWork): Promise<void> {
    const { finish, schedule, pause } = this.#options;
    if (isAwaited(work)) return void (await Promise.race([finish(work), pause(savingMs.checkpoint)]));
    const { sessionId, trigger } = work;
    const before = this.#left.get(sessionId);
    this.#left.set(sessionId, before ? join(before, work) : work);
    const isDue = trigger !== null && (before?.trigger ?? null) === null;
    if (!before || isDue) schedule(() => this.#settle(sessionId), isDue);
  }

  #settle(sessionId: string): void {
    const work = this.#left.get(sessionId);
    this.#left.delete(sessionId);
    if (work) void this.#options.finish(work);
  }
}

function join(before: DeferredWork, work: DeferredWork): DeferredWork {
  const isOlderMore = isToolEnd(before.event) || work.event === "PreToolUse";
  return {
    ...work,
    event: isOlderMore ? before.event : work.event,
    trigger: work.trigger ?? before.trigger,
    isTranscriptBehind: before.isTranscriptBehind || work.isTranscriptBehind,
  };
}
