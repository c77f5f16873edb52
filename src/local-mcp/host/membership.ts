import { edgeConfigFromEnv, readEdgeConfig, type EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { err, ok } from "../../shared/result.ts";
import type { HostContext } from "./handlers.ts";
import type { HostError, HostResult, Workspace } from "./host.ts";

type Site = Pick<HostContext, "paths" | "site">;

/** Loads the client only where a workspace is opened. */
export async function onWorkspace<T>(
  context: HostContext,
  edge: EdgeConfig | undefined,
  body: (workspace: Workspace) => Promise<HostResult<T>>,
): Promise<HostResult<T>> {
  const { withWorkspace } = await import("./workspace.ts");
  return withWorkspace<T, HostError>(context, body, edge);
}

export const notJoined: HostResult<never> = err({
  code: "not_found",
  message: "this machine has not joined a workspace.",
});

export function requireEdge({ paths, site }: Site): HostResult<EdgeConfig> {
  const edge = readEdgeConfig(paths.home, site.env);
  if (!edge.ok) return err({ code: "edge_unusable", message: edge.error });
  return edge.value === null ? notJoined : ok(edge.value);
}

/** [DX10] Refuses while the environment would override the file. */
export function environmentConflict({ site }: Site): HostResult<never> | null {
  const given = edgeConfigFromEnv(site.env);
  if (given.ok && given.value === null) return null;
  const message = "SHIM_EDGE_URL, SHIM_WORKSPACE and SHIM_TOKEN in the environment take precedence. Unset them first.";
  return err({ code: "environment_decides", message });
}

/** [CL30] */
export function lossText({ adminToken }: EdgeConfig): string {
  if (adminToken === undefined) return "";
  return " The admin token is deleted too: to keep one, first run `shim join token create --machine <name> --scope admin`.";
}
