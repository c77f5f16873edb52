import type { Runtime } from "../runtime/runtime.ts";
import { StoreError } from "../store/store-error.ts";

export function logStoreErrors(runtime: Runtime, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    runtime.log("warn", "supervisor: the previous session could not be updated", { reason: error.message });
  }
}
