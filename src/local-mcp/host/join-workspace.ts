import { hostname } from "node:os";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import {
  isSameWorkspace,
  readEdgeConfig,
  writeEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
} from "../../coordinator-client/edge-config.ts";
import { parseAddress, isMachineToken, readTokenClaim } from "../../coordinator-client/edge/address.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as devices from "../sync/device.ts";
import * as joinPreferences from "../sync/join-preferences.ts";
import { formatCode } from "../sync/workspace-key.ts";
import type { HostContext } from "./handlers.ts";
import type { HostResult, Workspace } from "./host.ts";
import { chooseWork, moveWork, type LocalWork } from "./local-work.ts";
import { environmentConflict, lossText, onWorkspace } from "./membership.ts";
import { findKey, saveKey, type FoundKey } from "./workspace-keys.ts";

type Joined = MachineOutput<"workspace.join">;

/** Until all is done the machine stays where it is: `edge.json` is written last. */
export async function joinWorkspace(
  context: HostContext,
  { token, key: code, sync, earlierWork, ...next }: CheckedMachineInput<"workspace.join">,
): Promise<HostResult<Joined>> {
  const refused = refuseChange(context, next);
  if (refused) return refused;
  if (token === undefined || !isMachineToken(token)) {
    const message = "the token of this machine is needed (shim_...): `shim join <workspace> --url <url> < token-file`.";
    return err({ code: "token_needed", message });
  }
  const { url, workspace } = next;
  const machine = readTokenClaim(token, "m") ?? hostname();
  const current = currentEdge(context);
  const kept = current && isSameWorkspace(current, next) ? omitUndefined({ adminToken: current.adminToken }) : {};
  const edge: EdgeConfig = { url, workspace, machine, token, ...kept };
  return onWorkspace(context, edge, async (link) => {
    const health = await link.call("health", {});
    if (!health.ok) return health;
    const status = sync ? await link.call("sync.status", {}) : null;
    if (status?.ok === false) return status;
    const key = status ? findKey(context, edge, code, status.value.keyId) : ok(null);
    if (!key.ok) return key;
    const work = await chooseWork(context, earlierWork);
    if (!work.ok) return work;
    // The key must be on the disk before anything is sealed under it.
    const saved = key.value ? await saveKey(context, edge, link, key.value) : ok(undefined);
    return saved.ok ? completeJoin(context, { edge, link, key: key.value, work: work.value }) : saved;
  });
}

/** [EM3] Two authorities are never mixed: the old one keeps its data. */
export function refuseChange(
  context: HostContext,
  { url, workspace, replace }: EdgeWorkspace & { readonly replace: boolean },
): HostResult<never> | null {
  const elsewhere = environmentConflict(context);
  if (elsewhere) return elsewhere;
  const address = parseAddress(url, workspace);
  if (!address.ok) return err({ code: "bad_input", message: `${address.error}.` });
  const current = currentEdge(context);
  if (replace || !current || isSameWorkspace(current, { url, workspace })) return null;
  const message = `This machine belongs to ${current.url}, workspace ${current.workspace}. Leave it for ${url}, workspace ${workspace}? What is stored there stays there.${lossText(current)}`;
  return err({ code: "other_workspace", message });
}

/** The workspace of the file; null also where the file cannot be used. */
function currentEdge({ paths }: HostContext): EdgeConfig | null {
  const current = readEdgeConfig(paths.home);
  return current.ok ? current.value : null;
}

interface Joining {
  readonly edge: EdgeConfig;
  readonly link: Workspace;
  /** [SY94] Key of what is synced; null: the user wants no sync. */
  readonly key: FoundKey | null;
  readonly work: LocalWork;
}

/** Preferences are stored before any send. */
export async function completeJoin(context: HostContext, joining: Joining): Promise<HostResult<Joined>> {
  const { edge, link, key, work } = joining;
  const imported = await moveWork(context, link, work);
  if (!imported.ok) return imported;
  const runtime = await context.runtime();
  const current = currentEdge(context);
  const isMoving = current !== null && !isSameWorkspace(current, edge);
  runtime.store.write((sql) => beginSync(sql, runtime, joining, isMoving));
  writeEdgeConfig(context.paths.home, edge);
  const { url, workspace, machine } = edge;
  return ok({
    workspace,
    url,
    machine,
    keyId: key && key.key.id,
    key: key?.isNew ? formatCode(key.key) : null,
    imported: imported.value,
    kept: { runningTasks: work.running, keys: work.keys },
  });
}

/**
 * [SY61] A repeated join keeps the device's numbers.
 *
 * @param isMoving from another coordinator, where a workspace may have the same name
 */
function beginSync(sql: Sql, { now, random }: Runtime, { edge, key, work }: Joining, isMoving: boolean): void {
  const { workspace } = edge;
  const device = devices.get(sql);
  const known = device?.workspace === workspace && !isMoving ? device : null;
  const since = work.isImported ? 0 : (known?.joinedAt ?? now());
  joinPreferences.write(sql, { workspace, isSynced: key !== null, since });
  if (!key) devices.leave(sql);
  else if (!known) devices.join(sql, workspace, devices.newId(now(), random), since);
  else if (work.isImported) devices.sendAll(sql);
}
