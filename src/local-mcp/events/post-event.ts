import { closeSync, openSync, statSync, utimesSync } from "node:fs";
import { text } from "node:stream/consumers";
import { eventRequest, maxHeldMs, processHeader } from "../../clients/adapter/hook-program.ts";
import { shimCommand, withShimCommand, type CommandSource } from "../../platform/shim-command.ts";
import { setIdleTimer, setTimer } from "../../platform/timers.ts";
import { isWithin } from "../../shared/known-time.ts";
import { type HostHome, NoHostError, reachHost } from "../host-client/reach-host.ts";

export interface SentEvent {
  readonly client: string;
  /** The client's name of it. */
  readonly event: string;
  readonly input: string;
  /** The line by which the process of the hook describes itself. */
  readonly process: string;
}

/** After a start that failed no event waits for another one for so long. */
const failedMs = 60_000;

/** The part of the time that a host has for its answer once it was started. */
const reservedMs = 200;

/** Answer to a permission request without a decision. */
export const undecided = "{}";

/** The times of `shim-hook`. */
function maxAnswerMs(event: string): number {
  if (/^session_?start$/i.test(event)) return 6_000;
  return event === "PreToolUse" || event === "PreCompact" ? 5_000 : 2_000;
}

/**
 * Sends the event to the host, and starts one where none runs.
 *
 * @returns the answer
 * @param ended when the client ends the hook
 * @throws {NoHostError} where no host can be reached
 * @throws {Error} without an answer in time, and where the host refuses the event
 */
export async function postEvent(
  host: HostHome,
  { client, event, input, process }: SentEvent,
  ended: AbortSignal,
): Promise<string> {
  const failedMark = `${host.home}/host.failed`;
  const failedAt = statSync(failedMark, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const isFailing = isWithin(Date.now() - failedAt, failedMs);
  const maxMs = maxAnswerMs(event);
  const late = new AbortController();
  const signal = AbortSignal.any([ended, late.signal]);
  let cancel = setIdleTimer(() => late.abort(), maxMs);
  let isHeld = false;
  const onHeld = (): void => {
    isHeld = true;
    cancel();
    cancel = setTimer(() => late.abort(), maxHeldMs);
  };
  const sender = { [processHeader]: process };
  try {
    const request = eventRequest(host.home, host.env, { client, event, input, sender, signal });
    const answer = await reachHost(host, { ...request, onHeld }, isFailing ? 0 : maxMs - reservedMs);
    if (answer.statusCode !== 200) throw new Error(`the host refuses it with status ${answer.statusCode}`);
    return await text(answer);
  } catch (error) {
    // The host has recorded it.
    if (isHeld) return undecided;
    if (error instanceof NoHostError && !isFailing) touch(failedMark);
    throw error;
  } finally {
    cancel();
  }
}

function touch(path: string): void {
  try {
    closeSync(openSync(path, "a", 0o600));
    utimesSync(path, new Date(), new Date());
  } catch {
    // Where nothing can be written each event finds that out at once.
  }
}

/** Events that show a problem to the user: once a turn, not at every tool. */
export const problemEvents: ReadonlySet<string> = new Set(["SessionStart", "UserPromptSubmit"]);

/** @param isLater whether the event waits in the spool */
export function problemText(source: CommandSource, reason: string, isLater: boolean): string {
  const consequence = isLater ? "Events wait in the spool until it can." : "Events are lost until it can.";
  const text = `SHIM cannot save: ${reason.replace(/[^.]$/, "$&.")} ${consequence} Run \`shim doctor\`.`;
  return withShimCommand(text, () => shimCommand(source));
}
