import { hostname } from "node:os";
import * as z from "zod";
import type { CheckedMachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import {
  isSameWorkspace,
  readEdgeConfig,
  writeEdgeConfig,
  type EdgeConfig,
  type EdgeWorkspace,
  nameOf,
} from "../../coordinator-client/edge-config.ts";
import {
  parseAddress,
  isMachineToken,
  readTokenClaim,
  withoutLastSlashes,
} from "../../coordinator-client/edge/address.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok } from "../../shared/result.ts";
import * as devices from "../sharing/device.ts";
import * as joinPreferences from "../sharing/join-preferences.ts";
import { formatCode } from "../sharing/key-ring.ts";
import type { OperationContext, OperationResult, Workspace } from "./operation-context.ts";
import { environmentConflict, lossText, onWorkspace } from "./membership.ts";
import { findKey, saveKey, type FoundKey } from "./workspace-keys.ts";
import { WireError } from "../../contract/protocol.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { openLocalCoordinator } from "../../coordinator-client/client.ts";
import * as meta from "../../store/meta.ts";

type Joined = MachineOutput<"workspace.join">;

/** Until all is done the machine stays where it is: `edge.json` is written last. */
export async function joinWorkspace(
  context: OperationContext,
  { token, key: code, sync, earlier, ...next }: CheckedMachineInput<"workspace.join">,
): Promise<OperationResult<Joined>> {
  const refused = refuseChange(context, next);
  if (refused) return refused;
  if (token === undefined || !isMachineToken(token)) {
    const message =
      "the token of this machine is needed (shim_...): `shim workspace join <name> --url <url> < token-file`.";
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
    // The key must be on the disk before anything is sealed under it.
    const saved = key.value ? await saveKey(context, edge, link, key.value) : ok(undefined);
    return saved.ok ? completeJoin(context, { edge, key: key.value, earlier }) : saved;
  });
}

/** Two authorities are never mixed: the old one keeps its data. */
function refuseChange(
  context: OperationContext,
  { url, workspace, replace }: EdgeWorkspace & { readonly replace: boolean },
): OperationResult<never> | null {
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
function currentEdge({ paths }: OperationContext): EdgeConfig | null {
  const current = readEdgeConfig(paths.home);
  return current.ok ? current.value : null;
}

interface Joining {
  readonly edge: EdgeConfig;
  /** Key of what is synced; null: the user wants no sync. */
  readonly key: FoundKey | null;
  /** Whether sessions from before are synced too. */
  readonly earlier: boolean;
}

/** Preferences are stored before any send; a repeated join keeps the device's numbers. */
async function completeJoin(
  context: OperationContext,
  { edge, key, earlier }: Joining,
): Promise<OperationResult<Joined>> {
  const { store, now, random } = await context.runtime();
  const { url, workspace, machine } = edge;
  const current = currentEdge(context);
  // Another coordinator may have a workspace of the same name.
  const isMoving = current !== null && !isSameWorkspace(current, edge);
  store.write((sql) => {
    const device = devices.get(sql);
    const known = device?.workspace === workspace && !isMoving ? device : null;
    const since = earlier ? 0 : (known?.joinedAt ?? now());
    joinPreferences.write(sql, { workspace, isSynced: key !== null, since });
    if (!key) devices.leave(sql);
    else if (!known) devices.join(sql, workspace, devices.newId(now(), random), since);
    else if (earlier) devices.sendAll(sql);
  });
  writeEdgeConfig(context.paths.home, edge);
  return ok({
    workspace,
    url,
    machine,
    keyId: key && key.key.id,
    key: key?.isNew ? formatCode(key.key) : null,
    stays: await readLocalWork(context),
  });
}

/** A repeat continues under the same ids of requests. */
export async function createWorkspace(
  context: OperationContext,
  { secret, earlier, ...next }: CheckedMachineInput<"workspace.create">,
): Promise<OperationResult<MachineOutput<"workspace.create">>> {
  const refused = refuseChange(context, next);
  if (refused) return refused;
  if (secret === undefined) {
    const message =
      "making a workspace needs the secret of the deployment in SHIM_ADMIN_SECRET (`npm run deploy` has shown it; `npm run dev` keeps it in .dev.vars).";
    return err({ code: "secret_needed", message });
  }
  const key = findKey(context, next, undefined, null);
  if (!key.ok) return key;
  const runtime = await context.runtime();
  const finish = (): void => void runtime.store.write((sql) => meta.remove(sql, requestKey(next)));
  const requestId = startRequest(runtime, next);
  const adminToken = await firstToken(next, secret, requestId);
  if (!adminToken.ok) {
    if (adminToken.error.code === "workspace_exists") finish();
    return adminToken;
  }
  const { url, workspace } = next;
  const admin = { url, workspace, machine: hostname(), token: adminToken.value };
  const token = await onWorkspace(context, admin, async (link) => {
    // Before any machine has a token: none can be first with another key.
    const saved = await saveKey(context, next, link, key.value);
    return saved.ok ? machineToken(link, requestId) : saved;
  });
  if (!token.ok) return token;
  const edge = { ...admin, token: token.value, adminToken: adminToken.value };
  const found = { ...key.value, isNew: true };
  const joined = await completeJoin(context, { edge, key: found, earlier });
  if (joined.ok) finish();
  return joined;
}

/** The machine may have another name by the next try. */
async function machineToken({ call, machine }: Workspace, requestId: string): Promise<OperationResult<string>> {
  const named = `${requestId}:${machine.replaceAll(/[^\w.-]/g, "-").slice(0, 80)}`;
  const created = await call("tokens.create", { machine, requestId: named });
  return created.ok ? ok(created.value.token) : created;
}

const Created = z.object({ token: z.string() });
const NotCreated = z.object({ error: WireError });

async function firstToken(
  { url, workspace }: EdgeWorkspace,
  secret: string,
  requestId: string,
): Promise<OperationResult<string>> {
  const answer = await fetch(`${withoutLastSlashes(url)}/v1/workspaces`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: JSON.stringify({ workspace, requestId }),
    redirect: "error",
    signal: AbortSignal.timeout(15_000),
  }).catch(() => null);
  const body: unknown = await answer?.json().catch(() => null);
  const created = Created.safeParse(body);
  if (created.success) return ok(created.data.token);
  const refused = NotCreated.safeParse(body);
  if (refused.success) {
    const { code, message } = refused.data.error;
    const isWrongSecret = code === "unauthenticated";
    return err({
      code,
      message: isWrongSecret ? "SHIM_ADMIN_SECRET is not the secret of this deployment." : `${message}.`,
    });
  }
  const message = answer
    ? `${url} answered ${answer.status}, and is not a coordinator.`
    : `${url} does not answer. Is the coordinator running (\`npm run dev\`)?`;
  return err({ code: "edge_unreachable", message });
}

/** With the deployment's secret, the id of a request is worth the workspace's token. */
function requestKey(edge: EdgeWorkspace): string {
  return `workspace_request:${nameOf(edge)}`;
}

/** Reuses the id of an earlier request for the workspace; stored before it is sent. */
function startRequest({ store, now, random }: Runtime, edge: EdgeWorkspace): string {
  const newId = uuidv7(now(), random(16));
  return store.write((sql) => {
    const requestId = meta.read(sql, requestKey(edge)) ?? newId;
    meta.write(sql, requestKey(edge), requestId);
    return requestId;
  });
}

/** Work that stays in the machine's own coordinator. */
async function readLocalWork(context: OperationContext): Promise<Joined["stays"]> {
  const runtime = await context.runtime();
  const { coordinator, close } = openLocalCoordinator(runtime);
  try {
    const tasks = coordinator.call("tasks.progress", {});
    const schedules = coordinator.call("schedules.list", {});
    const state = coordinator.call("state.list", { prefix: "", limit: 500 });
    return {
      tasks: tasks.ok ? tasks.value.queuedTasks + tasks.value.inProgressTasks : 0,
      schedules: schedules.ok ? schedules.value.schedules.length : 0,
      keys: state.ok ? state.value.entries.filter(({ key }) => !key.startsWith("$")).length : 0,
    };
  } finally {
    close();
  }
}
