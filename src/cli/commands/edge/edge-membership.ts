import { Workspace } from "../../../contract/workspaces.ts";
import { parseAddress } from "../../../coordinator-client/edge/address.ts";
import {
  edgeConfigFromEnv,
  isSameWorkspace,
  readEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
} from "../../../coordinator-client/edge-config.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { failed, wrongUsage, type FailedResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";

export function checkNames(url: string, name: string): Result<void, FailedResult["error"]> {
  const workspace = Workspace.safeParse(name);
  if (!workspace.success)
    return wrongUsage(`"${name}" is no name for a workspace: ${workspace.error.issues[0]?.message}.`);
  const address = parseAddress(url, name);
  return address.ok ? ok(undefined) : wrongUsage(`${address.error}.`);
}

export function keptAdminToken(cli: Cli, url: string, workspace: string): Pick<EdgeConfig, "adminToken"> {
  const current = readEdgeConfig(cli.paths.home);
  if (!current.ok || current.value?.adminToken === undefined || !isSameWorkspace(current.value, { url, workspace }))
    return {};
  return { adminToken: current.value.adminToken };
}

export function adminLossText({ adminToken }: EdgeConfig): string {
  if (adminToken === undefined) return "";
  return " The admin token goes with it: to keep one, first `shim edge token create --machine <name> --scope admin`.";
}

/** [DX10] Refuses while the environment would override the file. */
export function environmentConflict(cli: Cli): FailedResult | null {
  const given = edgeConfigFromEnv(cli.io.env);
  if (given.ok && given.value === null) return null;
  return failed(
    "environment_decides",
    "SHIM_EDGE_URL, SHIM_WORKSPACE and SHIM_TOKEN of the environment decide here. Unset them first.",
  );
}

/** [EM3] Two authorities are never mixed: the old one keeps its data. */
export async function confirmReplace(
  cli: Cli,
  { yes }: { readonly yes?: boolean },
  next: EdgeWorkspace,
): Promise<FailedResult | null> {
  const elsewhere = environmentConflict(cli);
  if (elsewhere) return elsewhere;
  const current = readEdgeConfig(cli.paths.home);
  if (!current.ok || current.value === null || isSameWorkspace(current.value, next)) return null;
  const was = `${current.value.url}, workspace ${current.value.workspace}`;
  const question = `This machine belongs to ${was}. Leave it for ${next.url}, workspace ${next.workspace}? What is stored there stays there.${adminLossText(current.value)}`;
  const reply = await cli.confirm(question, yes === true);
  if (reply === "yes") return null;
  return failed("not_confirmed", reply === "no" ? "nothing was changed." : `${question} Say so with --yes.`);
}
