import { err } from "../../shared/result.ts";
import type { Outside } from "../edge/outside.ts";
import { systemOutside } from "../edge/system-outside.ts";
import type { ProcessIdentity } from "../processes.ts";
import type { Runtime } from "../runtime.ts";
import { edgeCall } from "./edge-call.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { Connect } from "./round.ts";
import { StateSynchronizer } from "./synchronizer.ts";

/** Over the real network, for the process that is given; not started yet. */
export function synchronizerOf(
  runtime: Runtime,
  process: ProcessIdentity,
  outside: Outside = systemOutside(),
): StateSynchronizer {
  const connect: Connect = (edge, signal) => {
    const call = edgeCall(edge, outside, signal);
    return call.ok ? call.value : () => Promise.resolve(err({ code: "edge_unusable", message: call.error }));
  };
  // Asked for once it is needed: before the first write there is no home.
  return new StateSynchronizer({
    runtime,
    outside,
    process,
    connect,
    fingerprint: () => fingerprintOf(runtime.paths.home),
  });
}

/** A client that only looks at the server, and leaves, finds nothing written, in ms. */
const settleMs = 3_000;

/** [SY63] Of a process that lives for long. @returns ends it, sending what is left if that is quick */
export function startSync(runtime: Runtime, process: ProcessIdentity): () => Promise<void> {
  const synchronizer = synchronizerOf(runtime, process);
  synchronizer.start(settleMs);
  return () => synchronizer.stop();
}
