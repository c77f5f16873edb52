import type { Sample } from "../contract/metrics.ts";
import { logFailure } from "../worker-runner/client/continuation.ts";
import type { Restarts } from "./auto-restarter.ts";
import type { DeathDeps } from "./record-death.ts";
import { isProgram, type SupervisorSettings } from "./supervisor-settings.ts";
import type { SupervisorState } from "./supervisor-state.ts";

/** [OB15] Call for each start. The first one is no restart. */
export function countRestart({ runtime, call }: Omit<DeathDeps, "emit">, { endedBy }: Restarts): void {
  if (!endedBy) return;
  const counted = call("metrics.count-restart", { reason: endedBy });
  void logFailure(runtime, "supervisor: a restart was not counted", counted);
}

/** [OB15] Programs of these settings by phase. */
export function programSamples(
  { watch }: SupervisorSettings,
  state: SupervisorState,
  now: number,
  isSupervised: boolean,
): Sample[] {
  return Object.entries(watch).flatMap(([name, target]) => {
    if (!isProgram(target)) return [];
    const { phase } = state.stateFor(name, target, now).restarts;
    const label = labelOf(phase, isSupervised);
    return [{ name: "shim_supervisor_programs", labels: { phase: label }, value: 1 }];
  });
}

/** A killed supervisor leaves states of `running` that are no longer true. */
function labelOf(phase: Restarts["phase"], isSupervised: boolean): string {
  if (phase !== "running" && phase !== "due") return phase;
  if (!isSupervised) return "unwatched";
  return phase === "due" ? "waiting" : "running";
}
