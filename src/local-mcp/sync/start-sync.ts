import { err } from "../../shared/result.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { createSyncCall } from "./edge-sync-call.ts";
import { homeFingerprint } from "./home-fingerprint.ts";
import type { Connect } from "./sync-round.ts";
import { StateSynchronizer } from "./synchronizer.ts";

export function createSynchronizer(
  runtime: Runtime,
  process: ProcessIdentity,
  platform: Platform = nodePlatform(),
): StateSynchronizer {
  const connect: Connect = (edge, signal) => {
    const call = createSyncCall(edge, platform, signal);
    return call.ok ? call.value : () => Promise.resolve(err({ code: "edge_unusable", message: call.error }));
  };
  // Lazy: before the first write there is no home.
  return new StateSynchronizer({
    runtime,
    platform,
    process,
    connect,
    fingerprint: () => homeFingerprint(runtime.paths.home),
  });
}

/** Delay in ms: a client that only lists the tools and exits finds nothing written. */
const startDelayMs = 3_000;

/** [SY91] Returns a stop function, which sends what is left if that is quick. */
export function startSync(runtime: Runtime, process: ProcessIdentity): () => Promise<void> {
  const synchronizer = createSynchronizer(runtime, process);
  synchronizer.start(startDelayMs);
  return () => synchronizer.stop();
}
