import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";
import { LocalEdge, startEdge } from "../../scripts/local-edge.ts";
import type { InputOf, OperationName, OutputOf } from "../../src/contract/operations.ts";
import { writeEdgeConfig } from "../../src/coordinator-client/edge-config.ts";
import { LocalCoordinator } from "../../src/coordinator-client/local/local-coordinator.ts";
import { createLocalStore } from "../../src/coordinator-client/local/local-store.ts";
import { addKey, createKey } from "../../src/machine/sharing/key-ring.ts";
import { systemProcesses } from "../../src/platform/processes.ts";
import { openNodeSqlite } from "../../src/store/driver-node-sqlite.ts";
import type { Machine } from "./machine.ts";

/** What coordinates the chats of the story. */
export interface Host {
  readonly ask: <Name extends OperationName>(name: Name, input: InputOf<Name>) => Promise<OutputOf<Name>>;
  readonly close: () => Promise<void>;
}

/** The file of one machine. */
export function localHost({ paths }: Machine): Host {
  const store = createLocalStore({ home: paths.home, driver: openNodeSqlite, now: Date.now, busyMs: 5_000 });
  const coordinator = new LocalCoordinator({ store, processes: systemProcesses, machine: hostname(), now: Date.now });
  return {
    ask: async (name, input) => {
      const answer = coordinator.call(name, input);
      if (!answer.ok) throw new Error(`${name}: ${answer.error.message}`);
      return answer.value;
    },
    close: async () => store.close(),
  };
}

/** A coordinator under workerd that the machines have joined. */
export async function edgeHost(machines: readonly Machine[], folder: string): Promise<Host> {
  const entry = join(import.meta.dirname, "..", "..", "src", "worker", "worker-entry.ts");
  const edge = new LocalEdge(await startEdge({ entry, folder, log: () => undefined }));
  const { url, workspace } = edge;
  const key = createKey(randomBytes);
  for (const { name, paths } of machines) {
    const { token } = await edge.call("tokens.create", { machine: name, scope: "work" });
    writeEdgeConfig(paths.home, { url, workspace, machine: name, token });
    addKey(paths.home, { url, workspace }, key);
  }
  return { ask: (name, input) => edge.call(name, input), close: () => edge.close() };
}
