import { requireYes } from "../../require-yes.ts";
import { Workspace } from "../../../contract/workspaces.ts";
import { parseAddress } from "../../../coordinator-client/edge/address.ts";
import {
  isSameWorkspace,
  readEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
} from "../../../coordinator-client/edge-config.ts";
import { ok } from "../../../shared/result.ts";
import { failed, notFound, wrongUsage, type FailedResult, type CliResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";

export function checkNames(url: string, name: string): CliResult<void> {
  const workspace = Workspace.safeParse(name);
  if (!workspace.success)
    return wrongUsage(`"${name}" is not a workspace name: ${workspace.error.issues[0]?.message}.`);
  const address = parseAddress(url, name);
  return address.ok ? ok(undefined) : wrongUsage(`${address.error}.`);
}

export function keptAdminToken(cli: Cli, url: string, workspace: string): Pick<EdgeConfig, "adminToken"> {
  const current = readEdgeConfig(cli.paths.home);
  if (!current.ok || current.value?.adminToken === undefined || !isSameWorkspace(current.value, { url, workspace }))
    return {};
  return { adminToken: current.value.adminToken };
}

export function adminLossText({ hasAdminToken }: { readonly hasAdminToken: boolean }): string {
  if (!hasAdminToken) return "";
  return " The admin token is deleted too: to keep one, first run `shim join token create --machine <name> --scope admin`.";
}

export function requireEdge(cli: Cli): CliResult<EdgeConfig> {
  const edge = readEdgeConfig(cli.paths.home, cli.io.env);
  if (!edge.ok) return failed("edge_unusable", edge.error);
  return edge.value === null ? notFound("this machine has not joined a workspace.") : ok(edge.value);
}

/** [EM3] Two authorities are never mixed: the old one keeps its data. */
export async function confirmReplace(
  cli: Cli,
  options: { readonly yes?: boolean },
  next: EdgeWorkspace,
): Promise<FailedResult | null> {
  const current = await cli.call("workspace.current", {});
  if (!current.ok) return current;
  const { joined } = current.value;
  if (joined === null || isSameWorkspace(joined, next)) return null;
  const was = `${joined.url}, workspace ${joined.workspace}`;
  const question = `This machine belongs to ${was}. Leave it for ${next.url}, workspace ${next.workspace}? What is stored there stays there.${adminLossText(joined)}`;
  return requireYes(cli, question, options);
}
