import { eventRequest, processHeader } from "../../clients/adapter/hook-program.ts";
import { heldMs, hostMs, lateHostMs } from "../../contract/hook-limits.ts";
import { askHost } from "../../platform/local-http.ts";
import { shimCommand, withShimCommand, type CommandSource } from "../../platform/shim-command.ts";
import { setIdleTimer, setTimer } from "../../platform/timers.ts";
import { type HostHome, reachHost } from "../host-client/reach-host.ts";

export interface SentEvent {
  readonly client: string;
  /** The client's name of it. */
  readonly event: string;
  readonly input: string;
  /** The line by which the process of the hook describes itself. */
  readonly process: string;
}

/** Answer to a permission request without a decision. */
export const undecided = "{}";

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
  const maxMs = hostMs(event);
  const late = new AbortController();
  const signal = AbortSignal.any([ended, late.signal]);
  let cancel = setIdleTimer(() => late.abort(), maxMs);
  let isHeld = false;
  const onHeld = (): void => {
    isHeld = true;
    cancel();
    cancel = setTimer(() => late.abort(), heldMs);
  };
  const sender = { [processHeader]: process };
  try {
    const request = eventRequest(host.home, host.env, { client, event, input, sender, signal });
    const answer = await reachHost(host, { ...request, onHeld }, askHost, maxMs - lateHostMs);
    if (answer.statusCode !== 200) throw new Error(`the host refuses it with status ${answer.statusCode}`);
    return answer.text;
  } catch (error) {
    // The host has recorded it.
    if (isHeld) return undecided;
    throw error;
  } finally {
    cancel();
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
