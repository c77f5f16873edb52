import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { err } from "../../shared/result.ts";
import { WorkspaceClient } from "../../coordinator-client/client.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
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
  const machine = machineId();
  return new StateSynchronizer({
    runtime,
    platform,
    connect,
    // Each time: before the first write there is no home.
    fingerprint: () => homeFingerprint(machine, runtime.paths.home),
    onPulled,
  });
}

/** [SY91] `stop` sends what is left if that is quick. */
export function startSync(
  runtime: Runtime,
  onPulled: OnPulled,
): Pick<StateSynchronizer, "pullSoon" | "stop" | "syncNow"> {
  const synchronizer = createSynchronizer(runtime, onPulled);
  synchronizer.start();
  return synchronizer;
}

const machineIdFiles = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/** [SY61] Differs in a copy of the home; uses the machine's name where there is no machine id. */
function homeFingerprint(machine: string, home: string): string {
  const stats = statSync(home, { bigint: true, throwIfNoEntry: false });
  const inode = stats ? `${stats.dev} ${stats.ino}` : "none";
  return createHash("sha256").update(`${machine} ${inode}`).digest("hex").slice(0, 32);
}

function machineId(): string {
  for (const file of machineIdFiles) {
    try {
      const id = readFileSync(file, "utf8").trim();
      if (id !== "") return id;
    } catch {
      // Not on this system.
    }
  }
  return hostname();
}
