import { Workspace } from "../contract/workspaces.ts";
import { addressOf } from "../local-mcp/edge/address.ts";
import { edgeIn, isSame, readEdge, type Edge, type EdgeWorkspace } from "../local-mcp/authority.ts";
import { ok, type Result } from "../shared/result.ts";
import { failed, wrongUsage, type Refused } from "./answer.ts";
import type { Cli } from "./cli.ts";

/** Which workspace a machine belongs to, and what has to be asked before that changes. */

export function checkedNames(url: string, name: string): Result<void, Refused["error"]> {
  const workspace = Workspace.safeParse(name);
  if (!workspace.success)
    return wrongUsage(`"${name}" is no name for a workspace: ${workspace.error.issues[0]?.message}.`);
  const address = addressOf(url, name);
  return address.ok ? ok(undefined) : wrongUsage(`${address.error}.`);
}

/** [EM3] A new token for the same workspace leaves the admin token where it is. */
export function kept(cli: Cli, url: string, workspace: string): Pick<Edge, "adminToken"> {
  const old = readEdge(cli.paths.home);
  if (!old.ok || old.value?.adminToken === undefined || !isSame(old.value, { url, workspace })) return {};
  return { adminToken: old.value.adminToken };
}

/** Without one nobody can list, make or revoke tokens any more. */
export function adminGoes({ adminToken }: Edge): string {
  if (adminToken === undefined) return "";
  return " The admin token goes with it: to keep one, first `shim edge token create --machine <name> --scope admin`.";
}

/** [DX4] What is written into the file would have no effect. */
export function decidedElsewhere(cli: Cli): Refused | null {
  const given = edgeIn(cli.io.env);
  if (given.ok && given.value === null) return null;
  return failed(
    "environment_decides",
    "SHIM_EDGE_URL, SHIM_WORKSPACE and SHIM_TOKEN of the environment decide here. Unset them first.",
  );
}

/** [EM3] Two authorities are never mixed: what the old one knows stays with it. */
export async function mayReplace(
  cli: Cli,
  { yes }: { readonly yes?: boolean },
  next: EdgeWorkspace,
): Promise<Refused | null> {
  const elsewhere = decidedElsewhere(cli);
  if (elsewhere) return elsewhere;
  const old = readEdge(cli.paths.home);
  if (!old.ok || old.value === null || isSame(old.value, next)) return null;
  const was = `${old.value.url}, workspace ${old.value.workspace}`;
  const question = `This machine belongs to ${was}. Leave it for ${next.url}, workspace ${next.workspace}? What is stored there stays there.${adminGoes(old.value)}`;
  const said = await cli.confirm(question, yes === true);
  if (said === "yes") return null;
  return failed("not_confirmed", said === "no" ? "nothing was changed." : `${question} Say so with --yes.`);
}
