import { hostname } from "node:os";
import { err, ok, type Result } from "../../shared/result.ts";
import { readEdgeConfig, type EdgeWorkspace } from "../authority.ts";
import { LocalCoordinator, type LocalCoordinatorOptions } from "../coordinator/local-coordinator.ts";
import { localStore } from "../coordinator/local-store.ts";
import { EdgeClient } from "../edge/client.ts";
import type { Outside } from "../edge/outside.ts";
import type { Processes } from "../processes.ts";
import type { Runtime } from "../runtime.ts";
import type { Driver } from "../store/driver.ts";
import type { ChatLink } from "./chat-link.ts";
import { EdgeChatLink } from "./edge-chat-link.ts";
import { LocalChatLink } from "./local-chat-link.ts";

export interface LocalSite {
  /** SHIM's folder. */
  readonly home: string;
  readonly driver: Driver;
  readonly busyMs: number;
  readonly processes: Processes;
  readonly now: LocalCoordinatorOptions["now"];
}

/** The coordinator in this machine's file, over a connection of its own. */
export function openLocal({ home, driver, busyMs, processes, now }: LocalSite): {
  readonly coordinator: LocalCoordinator;
  readonly machine: string;
  readonly close: () => void;
} {
  const store = localStore({ home, driver, now, busyMs });
  const machine = hostname();
  const coordinator = new LocalCoordinator({ store, processes, machine, now });
  return { coordinator, machine, close: () => store.close() };
}

/** The link of one chat to the coordinator of this machine. */
export interface OpenedLink {
  readonly link: ChatLink;
  /** As rows of the store name it. */
  readonly workspace: string;
  readonly machine: string;
  /** The operator of the edge can read what is sent; null: this machine's own file. */
  readonly edge: EdgeWorkspace | null;
  /** Nothing is asked any more; the chat is not unregistered by it. */
  readonly close: () => void;
}

/** The name of this machine's own coordinator in rows of the store. */
export const localWorkspace = "local";

/** Over the edge where this machine has joined one, else over its own file. One for each chat. */
export function openLink(runtime: Runtime, outside: Outside): Result<OpenedLink, string> {
  const edge = readEdgeConfig(runtime.paths.home, runtime.env);
  if (!edge.ok) return edge;
  if (edge.value === null) return ok(overFile(runtime, outside));
  const { url, workspace, token, machine } = edge.value;
  const client = EdgeClient.open({ edge: url, workspace, token }, outside);
  if (!client.ok) return err(client.error);
  const link = new EdgeChatLink(client.value, outside);
  return ok({ link, workspace, machine, edge: { url, workspace }, close: () => client.value.close() });
}

function overFile({ paths, store, processes, now }: Runtime, outside: Outside): OpenedLink {
  const { driver, busyMs } = store.context;
  const { coordinator, machine, close } = openLocal({ home: paths.home, driver, busyMs, processes, now });
  const desk = {
    // What the file refuses is a rejection, as that of a server would be.
    call: async (...asked: Parameters<LocalCoordinator["call"]>) => coordinator.call(...asked),
    version: () => coordinator.version(),
  };
  const link = new LocalChatLink(desk as ConstructorParameters<typeof LocalChatLink>[0], outside);
  return { link, workspace: localWorkspace, machine, edge: null, close };
}
