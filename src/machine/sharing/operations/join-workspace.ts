import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import * as z from "zod";
import { isRefusal } from "../../../contract/errors.ts";
import type { MachineOutput, CheckedMachineInput } from "../../../contract/machine/operations.ts";
import { openLocalCoordinator } from "../../../coordinator-client/client.ts";
import {
  type EdgeConfig,
  type EdgeWorkspace,
  writeEdgeConfig,
  isSameWorkspace,
  readEdgeConfig,
  nameOf,
} from "../../../coordinator-client/edge-config.ts";
import {
  parseAddress,
  isMachineToken,
  readTokenMachine,
  withoutLastSlashes,
} from "../../../coordinator-client/edge/address.ts";
import { askRelay } from "../../../coordinator-client/relay-request.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { uuidv7 } from "../../../shared/ids.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../../shared/result.ts";
import * as meta from "../../../store/meta.ts";
import * as devices from "../device.ts";
import * as joinPreferences from "../join-preferences.ts";
import { clearWrongKey } from "../sync-status.ts";
import {
  addKey,
  readKeys,
  removeKey,
  requireKeys,
  type KeyRing,
  createKey,
  formatCode,
  parseCode,
  type WorkspaceKey,
} from "../key-ring.ts";
import { requireEdge, onWorkspace, syncRound, environmentConflict, lossText } from "./membership.ts";
import type { OperationContext } from "../../context/operation-context.ts";
import type { Workspace } from "./workspace.ts";

interface FoundKey {
  readonly key: WorkspaceKey;
  /** True: made here for a workspace without a key; its code must be shown once. */
  readonly isNew: boolean;
  /** False: the workspace has no key yet, as far as is known. */
  readonly isRegistered: boolean;
}

/**
 * Finds the key: given, stored, or made where the workspace has none.
 *
 * @param expectedKeyId id of the key that the workspace seals under; null: it has none yet
 */
function findKey(
  context: OperationContext,
  edge: EdgeWorkspace,
  code: string | undefined,
  expectedKeyId: string | null,
): Result<FoundKey> {
  const ring = usable(readKeys(context.paths.home, edge, context.site.env));
  if (!ring.ok) return ring;
  const isRegistered = expectedKeyId !== null;
  if (code !== undefined) {
    const given = checkCode(code, expectedKeyId);
    return given.ok ? ok({ key: given.value, isNew: false, isRegistered }) : given;
  }
  const own = isRegistered ? ring.value?.keys.get(expectedKeyId) : ring.value?.current;
  if (own) return ok({ key: own, isNew: false, isRegistered });
  return isRegistered ? keyNeeded(expectedKeyId) : ok({ key: createKey(randomBytes), isNew: true, isRegistered });
}

function checkCode(code: string, expectedKeyId: string | null): Result<WorkspaceKey> {
  const key = parseCode(code);
  if (!key.ok) return fail("bad_input", `${key.error}. Nothing was changed.`);
  if (expectedKeyId === null || key.value.id === expectedKeyId) return key;
  const message = `this is key ${key.value.id}, but the workspace has ${expectedKeyId}: \`shim workspace key show\` shows the right one on a machine that has it. Nothing was changed.`;
  return fail("wrong_key", message);
}

/** Stores the key, and registers it where it is the workspace's first. */
async function saveKey(
  { paths, site }: OperationContext,
  edge: EdgeWorkspace,
  link: Pick<Workspace, "call">,
  { key, isRegistered }: FoundKey,
): Promise<Result<void>> {
  const ring = readKeys(paths.home, edge, site.env);
  const wasStored = ring.ok && ring.value?.keys.has(key.id) === true;
  // Before its registration: a registered key that no machine has is lost for ever.
  const stored = usable(addKey(paths.home, edge, key));
  if (!stored.ok || isRegistered) return stored;
  const registered = await registerKey(link, key);
  const hasLost = !registered.ok && registered.error.code === "key_needed" && !wasStored;
  const removed = hasLost ? usable(removeKey(paths.home, edge, key)) : ok(undefined);
  return removed.ok ? registered : removed;
}

/** Answers `key_needed` where another machine has registered a key meanwhile. */
async function registerKey(link: Pick<Workspace, "call">, { id }: WorkspaceKey): Promise<Result<void>> {
  const registered = await link.call("sync.rekey", { keyId: id, from: null });
  if (registered.ok) return ok(undefined);
  if (registered.error.code !== "wrong_key") return registered;
  const status = await link.call("sync.status", {});
  return status.ok && status.value.keyId !== null ? keyNeeded(status.value.keyId) : registered;
}

function keyNeeded(expectedKeyId: string): Result<never> {
  const message = `the workspace has a key (${expectedKeyId}) that this machine does not have. \`shim workspace key show\` shows it on a machine that does; give it here as the second line of stdin or in SHIM_WORKSPACE_KEY. To coordinate without sync: --no-sync. Nothing was changed.`;
  return fail("key_needed", message);
}

export async function adoptKey(
  context: OperationContext,
  code: string | undefined,
): Promise<Result<MachineOutput<"workspace.adopt">>> {
  const joined = requireEdge(context);
  if (!joined.ok) return joined;
  const edge = joined.value;
  return onWorkspace(context, edge, async (link) => {
    const status = await link.call("sync.status", {});
    const found = status.ok ? findKey(context, edge, code, status.value.keyId) : status;
    if (!found.ok) return found;
    const saved = await saveKey(context, edge, link, found.value);
    if (!saved.ok) return saved;
    const { store, now } = await context.runtime();
    store.write((sql) => {
      const preferences = joinPreferences.read(sql, edge.workspace);
      if (preferences?.isSynced === false) joinPreferences.write(sql, { ...preferences, isSynced: true });
      clearWrongKey(sql, now());
    });
    const { key, isNew } = found.value;
    return ok({ keyId: key.id, key: isNew ? formatCode(key) : null });
  });
}

/** Offline the newest one here. */
export async function showKey(context: OperationContext): Promise<Result<MachineOutput<"workspace.key">>> {
  const own = ownKeys(context);
  if (!own.ok) return own;
  const present = await presentKey(context, own.value);
  if (!present.ok && present.error.code === "wrong_key") return present;
  const key = present.ok ? present.value : own.value.ring.current;
  return ok({ keyId: key.id, key: formatCode(key) });
}

/** Stores the new key before the request, and restores the present one if the workspace refuses. */
export async function changeKey(context: OperationContext): Promise<Result<MachineOutput<"workspace.rekey">>> {
  const own = ownKeys(context);
  if (!own.ok) return own;
  const from = await presentKey(context, own.value);
  if (!from.ok) return from;
  const { edge } = own.value;
  const key = createKey(randomBytes);
  const stored = usable(addKey(context.paths.home, edge, key));
  if (!stored.ok) return stored;
  const rekeyed = await onWorkspace(context, edge, (link) =>
    link.call("sync.rekey", { keyId: key.id, from: from.value.id }),
  );
  if (!rekeyed.ok) {
    const restored = usable(addKey(context.paths.home, edge, from.value));
    return restored.ok ? rekeyed : restored;
  }
  const { trouble, ...counts } = await syncRound(context, edge);
  return ok({ keyId: key.id, key: formatCode(key), ...counts, trouble: trouble && trouble.message });
}

interface OwnKeys {
  readonly edge: EdgeConfig;
  readonly ring: KeyRing;
}

function ownKeys(context: OperationContext): Result<OwnKeys> {
  const edge = requireEdge(context);
  if (!edge.ok) return edge;
  const ring = usable(requireKeys(context.paths.home, edge.value, context.site.env));
  return ring.ok ? ok({ edge: edge.value, ring: ring.value }) : ring;
}

/** Key that the workspace seals under: not the newest one here after a failed rekey. */
async function presentKey(context: OperationContext, { edge, ring }: OwnKeys): Promise<Result<WorkspaceKey>> {
  const status = await onWorkspace(context, edge, (link) => link.call("sync.status", {}));
  if (!status.ok) return status;
  const { keyId } = status.value;
  const key = keyId === null ? ring.current : ring.keys.get(keyId);
  if (key) return ok(key);
  const message = `the workspace now has another key (${keyId}), which this machine does not have: \`shim workspace key show\` shows it on the machine that made it, \`shim workspace key set\` sets it here.`;
  return fail("wrong_key", message);
}

function usable<T>(done: Result<T, string>): Result<T> {
  return done.ok ? done : fail("key_unusable", `${done.error}.`);
}

const dayMs = 86_400_000;

/** Only signatures change: a token whose answer is lost stays valid, and a repeat renews it. */
export async function renewTokens(context: OperationContext): Promise<Result<MachineOutput<"workspace.renew-tokens">>> {
  const elsewhere = environmentConflict(context);
  if (elsewhere) return elsewhere;
  const edge = requireEdge(context);
  if (!edge.ok) return edge;
  const { token, adminToken } = edge.value;
  const work = await renewed(context, edge.value, token);
  if (!work.ok) return work;
  const admin = adminToken === undefined ? null : await renewed(context, edge.value, adminToken);
  if (admin && !admin.ok) return admin;
  const next: EdgeConfig = { ...edge.value, token: work.value, ...(admin && { adminToken: admin.value }) };
  writeEdgeConfig(context.paths.home, next);
  if (!admin) return ok({ renewed: ["work"], others: null });
  const listed = await onWorkspace(context, next, (workspace) => workspace.call("tokens.list", {}));
  if (!listed.ok) return listed;
  const others = listed.value.tokens.filter(
    ({ isRevoked, expiresInMs, signedAgoMs }) => !isRevoked && expiresInMs !== 0 && signedAgoMs > dayMs,
  );
  return ok({
    renewed: ["work", "admin"],
    others: others.map(({ id, machine, scope, signedAgoMs }) => ({ id, machine, scope, signedAgoMs })),
  });
}

function renewed(context: OperationContext, edge: EdgeConfig, token: string): Promise<Result<string>> {
  return onWorkspace(context, { ...edge, token }, async (workspace) => {
    const answer = await workspace.call("tokens.renew", {});
    return answer.ok ? ok(answer.value.token) : answer;
  });
}

type Joined = MachineOutput<"workspace.join">;

/** Until all is done the machine stays where it is: `edge.json` is written last. */
export async function joinWorkspace(
  context: OperationContext,
  { token: given, key: code, sync, earlier, ...next }: CheckedMachineInput<"workspace.join">,
): Promise<Result<Joined>> {
  const current = currentEdge(context);
  const moved = given === undefined && current?.workspace === next.workspace ? current : null;
  const refused = refuseChange(context, next, moved !== null);
  if (refused) return refused;
  const edge = moved ? { ...moved, url: next.url } : edgeOfToken(current, next, given);
  if (edge === null) return tokenNeeded;
  return onWorkspace(context, edge, async (link) => {
    const health = await link.call("health", {});
    if (!health.ok) return moved && health.error.code === "unauthenticated" ? tokenNeeded : health;
    // Its token counts there: this is the same workspace at another address.
    const carried = carryKeys(context, moved, edge);
    if (!carried.ok) return carried;
    const status = sync ? await link.call("sync.status", {}) : null;
    if (status?.ok === false) return status;
    const key = status ? findKey(context, edge, code, status.value.keyId) : ok(null);
    if (!key.ok) return key;
    // The key must be on the disk before anything is sealed under it.
    const saved = key.value ? await saveKey(context, edge, link, key.value) : ok(undefined);
    return saved.ok ? completeJoin(context, { edge, key: key.value, earlier, isMoved: moved !== null }) : saved;
  });
}

const tokenNeeded = fail(
  "token_needed",
  "the token of this machine is needed (shim_...): `shim workspace join <name> --url <url> < token-file`.",
);

/** @returns null: it is no token of a machine */
function edgeOfToken(
  current: EdgeConfig | null,
  { url, workspace }: EdgeWorkspace,
  token: string | undefined,
): EdgeConfig | null {
  if (token === undefined || !isMachineToken(token)) return null;
  const isSame = current !== null && isSameWorkspace(current, { url, workspace });
  const kept = isSame ? omitUndefined({ adminToken: current.adminToken }) : {};
  return { url, workspace, machine: readTokenMachine(token) ?? hostname(), token, ...kept };
}

/** In their order: the newest one is current. */
function carryKeys({ paths, site }: OperationContext, from: EdgeWorkspace | null, to: EdgeWorkspace): Result<void> {
  const ring = from ? usable(readKeys(paths.home, from, site.env)) : ok(null);
  if (!ring.ok) return ring;
  for (const key of ring.value?.keys.values() ?? []) {
    const stored = usable(addKey(paths.home, to, key));
    if (!stored.ok) return stored;
  }
  return ok(undefined);
}

/** Two authorities are never mixed: the old one keeps its data. */
function refuseChange(
  context: OperationContext,
  { url, workspace, replace }: EdgeWorkspace & { readonly replace: boolean },
  keepsTokens = false,
): Result<never> | null {
  const elsewhere = environmentConflict(context);
  if (elsewhere) return elsewhere;
  const address = parseAddress(url, workspace);
  if (!address.ok) return fail("bad_input", `${address.error}.`);
  const current = currentEdge(context);
  if (replace || !current || isSameWorkspace(current, { url, workspace })) return null;
  const change = keepsTokens
    ? `Use it at ${url} from now on, with its present tokens?`
    : `Leave it for ${url}, workspace ${workspace}? What is stored there stays there.${lossText(current)}`;
  const message = `This machine belongs to ${current.url}, workspace ${current.workspace}. ${change}`;
  return fail("other_workspace", message);
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
  /** The workspace that the machine has joined is at another address now. */
  readonly isMoved?: boolean;
}

/** Preferences are stored before any send; a repeated join keeps the device's numbers. */
async function completeJoin(
  context: OperationContext,
  { edge, key, earlier, isMoved = false }: Joining,
): Promise<Result<Joined>> {
  const { store, now, random } = await context.runtime();
  const { url, workspace, machine } = edge;
  const current = currentEdge(context);
  // Another coordinator may have a workspace of the same name.
  const isMoving = current !== null && !isMoved && !isSameWorkspace(current, edge);
  store.write((sql) => {
    const device = devices.get(sql);
    const known = device?.workspace === workspace && !isMoving ? device : null;
    const since = earlier ? 0 : (known?.joinedAt ?? now());
    joinPreferences.write(sql, { workspace, isSynced: key !== null, since });
    if (!key) devices.leave(sql);
    else if (!known) devices.join(sql, edge, devices.newId(now(), random), since, now());
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
): Promise<Result<MachineOutput<"workspace.create">>> {
  const refused = refuseChange(context, next);
  if (refused) return refused;
  if (secret === undefined) {
    const message =
      "making a workspace needs the secret of the deployment in SHIM_ADMIN_SECRET (`npm run deploy` has shown it; `npm run dev` keeps it in .dev.vars).";
    return fail("secret_needed", message);
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
async function machineToken({ call, machine }: Workspace, requestId: string): Promise<Result<string>> {
  const named = `${requestId}:${machine.replaceAll(/[^\w.-]/g, "-").slice(0, 80)}`;
  const created = await call("tokens.create", { machine, requestId: named });
  return created.ok ? ok(created.value.token) : created;
}

const Created = z.object({ token: z.string() });

async function firstToken(
  { url, workspace }: EdgeWorkspace,
  secret: string,
  requestId: string,
): Promise<Result<string>> {
  const request = { method: "POST", output: Created, body: { workspace, requestId }, token: secret, timeoutMs: 15_000 };
  const answer = await askRelay(`${withoutLastSlashes(url)}/v1/workspaces`, request);
  if (answer.ok) return ok(answer.value.token);
  const { code, message } = answer.error;
  if (!isRefusal(answer.error)) return fail("edge_unreachable", `${message}. ${isRunning}`);
  const isWrongSecret = code === "unauthenticated";
  return fail(code, isWrongSecret ? "SHIM_ADMIN_SECRET is not the secret of this deployment." : `${message}.`);
}

const isRunning = "Is the coordinator running there (`npm run dev` starts one here)?";

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
    const state = coordinator.call("state.list", { prefix: "", limit: 500 });
    return {
      tasks: tasks.ok ? tasks.value.queuedTasks + tasks.value.inProgressTasks : 0,
      keys: state.ok ? state.value.entries.filter(({ key }) => !key.startsWith("$")).length : 0,
    };
  } finally {
    close();
  }
}
