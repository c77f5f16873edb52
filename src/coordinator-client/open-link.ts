import { hostname } from "node:os";
import { err, ok, type Result } from "../shared/result.ts";
import type { Processes } from "../platform/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Store } from "../store/store.ts";
import type { Driver } from "../store/driver.ts";
import { WorkspaceClient, type LocalPlatform } from "./client.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import { localWorkspace, readEdgeConfig, type EdgeWorkspace } from "./edge-config.ts";
import type { PrepareInput } from "./edge/calls.ts";
import type { Platform } from "./edge/platform.ts";
import { EdgeSockets } from "./edge/socket.ts";
import type { LocalCalls } from "../runtime/local-calls.ts";
import { callsOf, LocalCoordinator, type LocalCoordinatorOptions } from "./local/local-coordinator.ts";
import { createLocalStore } from "./local/local-store.ts";
import { openCoordinators, type OpenCoordinator } from "./local/open-coordinators.ts";

export interface LocalCoordinatorSite {
  readonly home: string;
  readonly driver: Driver;
  readonly busyMs: number;
  readonly processes: Processes;
  readonly now: LocalCoordinatorOptions["now"];
}

interface OpenedCoordinator {
  readonly coordinator: LocalCoordinator;
  readonly close: () => void;
}

/** The coordinator of a home, which all users in a process share. */
export function openLocalCoordinator({
  home,
  driver,
  busyMs,
  processes,
  now,
}: LocalCoordinatorSite): OpenedCoordinator {
  const open = (): OpenCoordinator => {
    const store = createLocalStore({ home, driver, now, busyMs });
    const coordinator = new LocalCoordinator({ store, processes, machine: hostname(), now });
    return { coordinator, close: () => store.close(), uses: 0 };
  };
  const shared = openCoordinators.get(home) ?? open();
  openCoordinators.set(home, shared);
  shared.uses += 1;
  let isOpen = true;
  const close = (): void => {
    if (isOpen) shared.uses -= 1;
    isOpen = false;
    if (shared.uses > 0) return;
    openCoordinators.delete(home);
    shared.close();
  };
  return { coordinator: shared.coordinator, close };
}

export interface OpenedLink {
  readonly link: CoordinatorClient;
  readonly workspace: string;
  readonly machine: string;
  /** Edge whose operator can read what is sent; null: this machine's own file. */
  readonly edge: EdgeWorkspace | null;
}

const sockets = new WeakMap<Store, EdgeSockets>();

/** Those of the process that opened the store. */
function socketsOf(store: Store): EdgeSockets {
  const known = sockets.get(store) ?? new EdgeSockets();
  sockets.set(store, known);
  return known;
}

export function openLink(runtime: Runtime, platform: Platform): Result<OpenedLink, string> {
  const edge = readEdgeConfig(runtime.paths.home, runtime.env);
  if (!edge.ok) return edge;
  if (edge.value === null) {
    const { client, machine } = openLocalClient(runtime, platform);
    return ok({ link: client, workspace: localWorkspace, machine, edge: null });
  }
  const { url, workspace, token, machine } = edge.value;
  const client = WorkspaceClient.open({ edge: url, workspace, token }, platform, socketsOf(runtime.store));
  if (!client.ok) return err(client.error);
  return ok({ link: client.value, workspace, machine, edge: { url, workspace } });
}

export function openLocalClient(
  runtime: Runtime,
  platform: LocalPlatform,
  prepareInput?: PrepareInput,
): { readonly client: WorkspaceClient; readonly machine: string } {
  const calls = runtime.localCalls?.() ?? callsInProcess(runtime);
  const client = WorkspaceClient.openLocal(calls, platform, prepareInput);
  return { client, machine: hostname() };
}

/** For the process that is the host. */
export function callsInProcess({ paths, store, processes, now }: Runtime): LocalCalls {
  const { driver, busyMs } = store.context;
  const { coordinator, close } = openLocalCoordinator({ home: paths.home, driver, busyMs, processes, now });
  return callsOf(coordinator, close);
}
