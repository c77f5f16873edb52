import type { Host } from "../local-mcp/host/host.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { messageOf } from "../shared/error.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";

export interface DeathRecorder {
  readonly runtime: Runtime;
  /** Operations of the machine: the store is only read here. */
  readonly call: Host["call"];
  readonly emit: (event: SupervisorEvent) => void;
}

/**
 * [SU6] [SU10] Has the host save the last checkpoint and attest the death.
 *
 * @param hurrySignal aborted: files are left out, or not waited for
 * @returns the id of the checkpoint; null: none
 */
export async function recordDeathOf(
  { call, emit }: DeathRecorder,
  session: string,
  hurrySignal: AbortSignal,
): Promise<string | null> {
  const report = (message: string): void => emit({ type: "problem", name: null, message });
  const files = !hurrySignal.aborted;
  try {
    const recording = call("recovery.record-death", { session, files });
    const recorded = await (files ? Promise.race([recording, aborted(hurrySignal)]) : recording);
    if (recorded === null) return null;
    if (!recorded.ok) throw new Error(recorded.error.message);
    const { checkpoint, trouble } = recorded.value;
    if (trouble !== null) report(trouble);
    return checkpoint;
  } catch (error) {
    report(`the last checkpoint of ${session}: ${messageOf(error)}`);
    return null;
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(null), { once: true }));
}
