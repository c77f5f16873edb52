import {
  edgeConfigFromEnv,
  readEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
} from "../../../coordinator-client/edge-config.ts";
import { fail, ok, type Result } from "../../../shared/result.ts";
import type { OperationContext } from "../../context/operation-context.ts";
import type { Workspace } from "./workspace.ts";
import type { SyncCounts } from "../../../contract/machine/workspaces.ts";
import { pluralize } from "../../../shared/format.ts";
import type { SyncReport } from "../sync-round.ts";

type Site = Pick<OperationContext, "paths" | "site">;

/** Loads the client only where a workspace is opened. */
export async function onWorkspace<T>(
  context: OperationContext,
  edge: EdgeConfig | undefined,
  body: (workspace: Workspace) => Promise<Result<T>>,
): Promise<Result<T>> {
  const { withWorkspace } = await import("./workspace.ts");
  return withWorkspace(context, body, edge);
}

export const notJoined: Result<never> = fail("not_found", "this machine has not joined a workspace.");

export function requireEdge({ paths, site }: Site): Result<EdgeConfig> {
  const edge = readEdgeConfig(paths.home, site.env);
  if (!edge.ok) return fail("edge_unusable", edge.error);
  return edge.value === null ? notJoined : ok(edge.value);
}

/** For a link, which needs a coordinator. @param without message where there is none */
export function requireCoordinator(home: string, env: NodeJS.ProcessEnv, without: string): Result<EdgeConfig> {
  const edge = readEdgeConfig(home, env);
  if (!edge.ok) return fail("no_edge", `${edge.error}.`);
  return edge.value === null ? fail("no_edge", without) : ok(edge.value);
}

/** Refuses while the environment would override the file. */
export function environmentConflict({ site }: Site): Result<never> | null {
  const given = edgeConfigFromEnv(site.env);
  if (given.ok && given.value === null) return null;
  const message = "SHIM_EDGE_URL, SHIM_WORKSPACE and SHIM_TOKEN in the environment take precedence. Unset them first.";
  return fail("environment_decides", message);
}

export function lossText({ adminToken }: EdgeConfig): string {
  if (adminToken === undefined) return "";
  return " The admin token is deleted too: to keep one, first run `shim workspace token create --machine <name> --scope admin`.";
}

export async function syncNow(context: OperationContext, edge: EdgeWorkspace): Promise<Result<SyncCounts>> {
  const { trouble, ...counts } = await syncRound(context, edge);
  if (trouble === null) return ok(counts);
  const waiting = `${pluralize(counts.left, "change")} ${counts.left === 1 ? "waits" : "wait"} on this machine; nothing is lost.`;
  return fail(trouble.code, `${trouble.message}. ${waiting}`);
}

/** Only the host of the machine sends. */
export function syncRound({ syncNow: syncHere }: OperationContext, edge: EdgeWorkspace): Promise<SyncReport> {
  if (!syncHere) throw new Error("a process beside the host does not sync");
  return syncHere(edge);
}
