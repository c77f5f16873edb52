import { hostname } from "node:os";
import { err, ok, type Result } from "../shared/result.ts";
import type { Processes } from "../platform/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Driver } from "../store/driver.ts";
import { WorkspaceClient, type LocalPlatform } from "./client.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import { readEdgeConfig, type EdgeWorkspace } from "./edge-config.ts";
import type { PrepareInput } from "./edge/calls.ts";
import type { Platform } from "./edge/platform.ts";
import type { LocalCalls } from "./local/local-connection.ts";
import { localStorePath } from "./local/local-store.ts";
import { watchCommits } from "../platform/watch-commits.ts";
import { LocalCoordinator, type LocalCoordinatorOptions } from "./local/local-coordinator.ts";
import { createLocalStore } from "./local/local-store.ts";

export interface LocalCoordinatorSite {
  readonly home: string;
  readonly driver: Driver;
  readonly busyMs: number;
  readonly processes: Processes;
  readonly now: LocalCoordinatorOptions["now"];
}

export function openLocalCoordinator({ home, driver, busyMs, processes, now }: LocalCoordinatorSite): {
  readonly coordinator: LocalCoordinator;
  readonly machine: string;
  readonly close: () => void;
} {
  const store = createLocalStore({ home, driver, now, busyMs });
  const machine = hostname();
  const coordinator = new LocalCoordinator({ store, processes, machine, now });
  return { coordinator, machine, close: () => store.close() };
}

export interface OpenedLink {
  readonly link: CoordinatorClient;
  readonly workspace: string;
  readonly machine: string;
  /** Edge whose operator can read what is sent; null: this machine's own file. */
  readonly edge: EdgeWorkspace | null;
}

export const localWorkspace = "local";

export function openLink(runtime: Runtime, platform: Platform): Result<OpenedLink, string> {
  const edge = readEdgeConfig(runtime.paths.home, runtime.env);
  if (!edge.ok) return edge;
  if (edge.value === null) {
    const { client, machine } = openLocalClient(runtime, platform);
    return ok({ link: client, workspace: localWorkspace, machine, edge: null });
  }
  const { url, workspace, token, machine } = edge.value;
  const client = WorkspaceClient.open({ edge: url, workspace, token }, platform);
  if (!client.ok) return err(client.error);
  return ok({ link: client.value, workspace, machine, edge: { url, workspace } });
}

export function openLocalClient(
  runtime: Runtime,
  platform: LocalPlatform,
  prepareInput?: PrepareInput,
): { readonly client: WorkspaceClient; readonly machine: string } {
  const { paths, store, processes, now } = runtime;
  const { driver, busyMs } = store.context;
  const { coordinator, machine, close } = openLocalCoordinator({ home: paths.home, driver, busyMs, processes, now });
  const calls: LocalCalls = {
    call: (name, input) => coordinator.call(name, input),
    version: () => coordinator.version(),
    watchCommits: (check) => watchCommits(localStorePath(paths.home), platform.setTimer, check),
    close,
  };
  return { client: WorkspaceClient.openLocal(calls, platform, prepareInput), machine };
}
