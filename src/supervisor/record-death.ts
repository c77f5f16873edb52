import type { Host } from "../local-mcp/host/host.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { messageOf } from "../shared/error.ts";
import type { SupervisorEvent } from "./supervisor-events.ts";

export interface DeathDeps {
  readonly runtime: Runtime;
  /** Operations of the machine: the store is only read here. */
  readonly call: Host["call"];
  readonly emit: (event: SupervisorEvent) => void;
}

/**
 * [SU6] [SU10] Has the host save the last checkpoint and attest the death.
 *
 * @returns the id of the checkpoint; null: none
 */
export async function recordDeath({ call, emit }: DeathDeps, session: string): Promise<string | null> {
  try {
    const recorded = await call("recovery.record-death", { session });
    if (!recorded.ok) throw new Error(recorded.error.message);
    const { checkpoint, trouble } = recorded.value;
    if (trouble !== null) emit({ type: "problem", name: null, message: trouble });
    return checkpoint;
  } catch (error) {
    emit({ type: "problem", name: null, message: `the last checkpoint of ${session}: ${messageOf(error)}` });
    return null;
  }
}
