import { hostname } from "node:os";
import { err, ok, type Result } from "../shared/result.ts";
import { readEdgeConfig, type EdgeWorkspace } from "./edge-config.ts";
import { LocalCoordinator, type LocalCoordinatorOptions } from "./local/local-coordinator.ts";
import { createLocalStore } from "./local/local-store.ts";
import { EdgeClient } from "./edge/client.ts";
import type { Platform } from "./edge/platform.ts";
import type { Processes } from "../platform/processes.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Driver } from "../store/driver.ts";
import type { ChatLink } from "./chat-link.ts";
import { EdgeChatLink } from "./edge-chat-link.ts";
import { LocalChatLink } from "./local-chat-link.ts";

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
  readonly link: ChatLink;
  readonly workspace: string;
  readonly machine: string;
  /** Edge whose operator can read what is sent; null: this machine's own file. */
  readonly edge: EdgeWorkspace | null;
  readonly close: () => void;
}

export const localWorkspace = "local";

export function openLink(runtime: Runtime, platform: Platform): Result<OpenedLink, string> {
  const edge = readEdgeConfig(runtime.paths.home, runtime.env);
  if (!edge.ok) return edge;
  if (edge.value === null) return ok(openFileLink(runtime, platform));
  const { url, workspace, token, machine } = edge.value;
  const client = EdgeClient.open({ edge: url, workspace, token }, platform);
  if (!client.ok) return err(client.error);
  const link = new EdgeChatLink(client.value, platform);
  return ok({ link, workspace, machine, edge: { url, workspace }, close: () => client.value.close() });
}

function openFileLink({ paths, store, processes, now }: Runtime, platform: Platform): OpenedLink {
  const { driver, busyMs } = store.context;
  const { coordinator, machine, close } = openLocalCoordinator({ home: paths.home, driver, busyMs, processes, now });
  const localCalls = {
    call: async (...args: Parameters<LocalCoordinator["call"]>) => coordinator.call(...args),
    version: () => coordinator.version(),
  };
  const link = new LocalChatLink(localCalls as ConstructorParameters<typeof LocalChatLink>[0], platform);
  return { link, workspace: localWorkspace, machine, edge: null, close };
}
