import type { Sample } from "../contract/metrics.ts";
import type { Runtime } from "../runtime/runtime.ts";
import * as totals from "../store/metric-totals.ts";
import { exceptStoreErrors } from "../store/store-error.ts";
import type { Restarts } from "./auto-restarter.ts";
import { isProgram, type SupervisorSettings } from "./supervisor-settings.ts";
import type { SupervisorState } from "./supervisor-state.ts";

/** [OB15] Call for each start. The first one is no restart. */
export function countRestart(runtime: Runtime, { endedBy }: Restarts): void {
  if (!endedBy) return;
  exceptStoreErrors(
    () => runtime.store.write((sql) => totals.add(sql, "shim_supervisor_restarts_total", { labels: [endedBy] })),
    ({ message: reason }) => runtime.log("warn", "supervisor: a restart was not counted", { reason }),
  );
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
