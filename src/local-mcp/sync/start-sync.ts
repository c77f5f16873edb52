import { err } from "../../shared/result.ts";
import { WorkspaceClient } from "../../coordinator-client/client.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { homeFingerprint } from "./home-fingerprint.ts";
import type { Connect } from "./sync-round.ts";
import { StateSynchronizer } from "./synchronizer.ts";

/** A push of four megabytes can take long. */
const timeoutMs = 60_000;

export function createSynchronizer(
  runtime: Runtime,
  process: ProcessIdentity,
  platform: Platform = nodePlatform(),
): StateSynchronizer {
  const connect: Connect = ({ url, workspace, token }, signal) => {
    // Sealed content fits no frame, and the sync repeats by itself.
    const client = WorkspaceClient.open({ edge: url, workspace, token, connectsFor: "chat", signal }, platform);
    if (!client.ok) return () => Promise.resolve(err({ code: "edge_unusable", message: client.error }));
    return (name, input) => client.value.call(name, input, timeoutMs);
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

/** [SY63] Returns a stop function, which sends what is left if that is quick. */
export function startSync(runtime: Runtime, process: ProcessIdentity): () => Promise<void> {
  const synchronizer = createSynchronizer(runtime, process);
  synchronizer.start(startDelayMs);
  return () => synchronizer.stop();
}
