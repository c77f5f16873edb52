import { stackOf } from "../shared/error.ts";
import type { Runtime } from "./runtime.ts";

/** [TE121] For a process that may end before its next transaction. A failure is only logged. */
export function storeDurations({ store, durations, log }: Runtime): void {
  if (!durations.hasPending) return;
  try {
    store.write((sql) => durations.store(sql));
  } catch (error) {
    log("warn", "durations were not stored", { error: stackOf(error) });
  }
}
