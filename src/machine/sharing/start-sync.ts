import { err } from "../../shared/result.ts";
import { WorkspaceClient } from "../../coordinator-client/client.ts";
import { nodePlatform } from "../../coordinator-client/edge/platform.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Connect } from "./sync-round.ts";
import { StateSynchronizer, type OnPulled } from "./synchronizer.ts";

/** A push of four megabytes can take long. */
const timeoutMs = 60_000;

export function createSynchronizer(runtime: Runtime, onPulled: OnPulled): StateSynchronizer {
  const platform = nodePlatform();
  const connect: Connect = ({ url, workspace, token }, signal) => {
    // Sealed content fits no frame, and the sync repeats by itself.
    const client = WorkspaceClient.open({ edge: url, workspace, token, connectsFor: "chat", signal }, platform);
    if (!client.ok) return () => Promise.resolve(err({ code: "edge_unusable", message: client.error }));
    return (name, input) => client.value.call(name, input, timeoutMs);
  };
  return new StateSynchronizer({ runtime, platform, connect, onPulled });
}

/** `stop` sends what is left if that is quick. */
export function startSync(
  runtime: Runtime,
  onPulled: OnPulled,
): Pick<StateSynchronizer, "pullSoon" | "stop" | "syncNow"> {
  const synchronizer = createSynchronizer(runtime, onPulled);
  synchronizer.start();
  return synchronizer;
}
