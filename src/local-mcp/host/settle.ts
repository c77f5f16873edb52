import type { Runtime } from "../../runtime/runtime.ts";
import { hasFinishedHere } from "../recovery/finished-tasks.ts";
import type { Host } from "./host.ts";

/** [RE70] Before a list of sessions; where nothing can be noted they are listed all the same. */
export async function settle(runtime: Runtime, call: Host["call"]): Promise<void> {
  if (hasFinishedHere(runtime)) await call("recovery.settle", {});
}
