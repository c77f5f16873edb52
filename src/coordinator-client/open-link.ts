import { hostname } from "node:os";
import { err, ok, type Result } from "../shared/result.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Store } from "../store/store.ts";
import { WorkspaceClient, type LocalPlatform } from "./client.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import { localWorkspace, readEdgeConfig, type EdgeWorkspace } from "./edge-config.ts";
import type { PrepareInput } from "./edge/calls.ts";
import type { Platform } from "./edge/platform.ts";
import { EdgeSockets } from "./edge/socket.ts";
import type { LocalCalls } from "../runtime/local-calls.ts";
import { callsOf, LocalCoordinator } from "./local/local-coordinator.ts";
import { createLocalStore } from "./local/local-store.ts";
import { openCoordinators, type OpenCoordinator } from "./local/open-coordinators.ts";

type CoordinatorRuntime = Pick<Runtime, "paths" | "store" | "processes" | "now">;

/** The coordinator of a home, which all users in a process share. */
export function openLocalCoordinator({
  paths,
  store,
  processes,
  now,
}: CoordinatorRuntime): Omit<OpenCoordinator, "uses"> {
  const { home } = paths;
  const open = (): OpenCoordinator => {
    const { driver, busyMs } = store.context;
    const own = createLocalStore({ home, driver, now, busyMs });
    const coordinator = new LocalCoordinator({ store: own, processes, machine: hostname(), now });
    return { coordinator, close: () => own.close(), uses: 0 };
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
export function callsInProcess(runtime: CoordinatorRuntime): LocalCalls {
  const { coordinator, close } = openLocalCoordinator(runtime);
  return callsOf(coordinator, close);
}
