import { randomBytes } from "node:crypto";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import { type EdgeConfig, type EdgeWorkspace, writeEdgeConfig } from "../../coordinator-client/edge-config.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as joinPreferences from "../sharing/join-preferences.ts";
import {
  addKey,
  readKeys,
  removeKey,
  type KeyRing,
  createKey,
  formatCode,
  parseCode,
  type WorkspaceKey,
} from "../sharing/key-ring.ts";
import { requireEdge, onWorkspace, syncRound, environmentConflict } from "./membership.ts";
import type { OperationContext, OperationResult, Workspace } from "./operation-context.ts";

export interface FoundKey {
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
export function findKey(
  context: OperationContext,
  edge: EdgeWorkspace,
  code: string | undefined,
  expectedKeyId: string | null,
): OperationResult<FoundKey> {
  const ring = readRing(context, edge);
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

function checkCode(code: string, expectedKeyId: string | null): OperationResult<WorkspaceKey> {
  const key = parseCode(code);
  if (!key.ok) return err({ code: "bad_input", message: `${key.error}. Nothing was changed.` });
  if (expectedKeyId === null || key.value.id === expectedKeyId) return key;
  const message = `this is key ${key.value.id}, but the workspace has ${expectedKeyId}: \`shim workspace key show\` shows the right one on a machine that has it. Nothing was changed.`;
  return err({ code: "wrong_key", message });
}

/** Stores the key, and registers it where it is the workspace's first. */
export async function saveKey(
  { paths, site }: OperationContext,
  edge: EdgeWorkspace,
  link: Pick<Workspace, "call">,
  { key, isRegistered }: FoundKey,
): Promise<OperationResult<void>> {
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
async function registerKey(link: Pick<Workspace, "call">, { id }: WorkspaceKey): Promise<OperationResult<void>> {
  const registered = await link.call("sync.rekey", { keyId: id, from: null });
  if (registered.ok) return ok(undefined);
  if (registered.error.code !== "wrong_key") return registered;
  const status = await link.call("sync.status", {});
  return status.ok && status.value.keyId !== null ? keyNeeded(status.value.keyId) : registered;
}

function keyNeeded(expectedKeyId: string): OperationResult<never> {
  const message = `the workspace has a key (${expectedKeyId}) that this machine does not have. \`shim workspace key show\` shows it on a machine that does; give it here as the second line of stdin or in SHIM_WORKSPACE_KEY. To coordinate without sync: --no-sync. Nothing was changed.`;
  return err({ code: "key_needed", message });
}

export async function adoptKey(
  context: OperationContext,
  code: string | undefined,
): Promise<OperationResult<MachineOutput<"workspace.adopt">>> {
  const joined = requireEdge(context);
  if (!joined.ok) return joined;
  const edge = joined.value;
  return onWorkspace(context, edge, async (link) => {
    const status = await link.call("sync.status", {});
    const found = status.ok ? findKey(context, edge, code, status.value.keyId) : status;
    if (!found.ok) return found;
    const saved = await saveKey(context, edge, link, found.value);
    if (!saved.ok) return saved;
    const { store } = await context.runtime();
    store.write((sql) => {
      const preferences = joinPreferences.read(sql, edge.workspace);
      if (preferences?.isSynced === false) joinPreferences.write(sql, { ...preferences, isSynced: true });
    });
    const { key, isNew } = found.value;
    return ok({ keyId: key.id, key: isNew ? formatCode(key) : null });
  });
}

/** Offline the newest one here. */
export async function showKey(context: OperationContext): Promise<OperationResult<MachineOutput<"workspace.key">>> {
  const own = ownKeys(context);
  if (!own.ok) return own;
  const present = await presentKey(context, own.value);
  if (!present.ok && present.error.code === "wrong_key") return present;
  const key = present.ok ? present.value : own.value.ring.current;
  return ok({ keyId: key.id, key: formatCode(key) });
}

/** Stores the new key before the request, and restores the present one if the workspace refuses. */
export async function changeKey(context: OperationContext): Promise<OperationResult<MachineOutput<"workspace.rekey">>> {
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

function ownKeys(context: OperationContext): OperationResult<OwnKeys> {
  const edge = requireEdge(context);
  if (!edge.ok) return edge;
  const ring = readRing(context, edge.value);
  if (!ring.ok) return ring;
  if (ring.value !== null) return ok({ edge: edge.value, ring: ring.value });
  return err({
    code: "not_found",
    message: "this machine has no key of the workspace: set it with `shim workspace key set`.",
  });
}

/** Key that the workspace seals under: not the newest one here after a failed rekey. */
async function presentKey(context: OperationContext, { edge, ring }: OwnKeys): Promise<OperationResult<WorkspaceKey>> {
  const status = await onWorkspace(context, edge, (link) => link.call("sync.status", {}));
  if (!status.ok) return status;
  const { keyId } = status.value;
  const key = keyId === null ? ring.current : ring.keys.get(keyId);
  if (key) return ok(key);
  const message = `the workspace now has another key (${keyId}), which this machine does not have: \`shim workspace key show\` shows it on the machine that made it, \`shim workspace key set\` sets it here.`;
  return err({ code: "wrong_key", message });
}

function readRing({ paths, site }: OperationContext, edge: EdgeWorkspace): OperationResult<KeyRing | null> {
  return usable(readKeys(paths.home, edge, site.env));
}

function usable<T>(done: Result<T, string>): OperationResult<T> {
  return done.ok ? done : err({ code: "key_unusable", message: `${done.error}.` });
}

const dayMs = 86_400_000;

/** Only signatures change: a token whose answer is lost stays valid, and a repeat renews it. */
export async function renewTokens(
  context: OperationContext,
): Promise<OperationResult<MachineOutput<"workspace.renew-tokens">>> {
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

function renewed(context: OperationContext, edge: EdgeConfig, token: string): Promise<OperationResult<string>> {
  return onWorkspace(context, { ...edge, token }, async (workspace) => {
    const answer = await workspace.call("tokens.renew", {});
    return answer.ok ? ok(answer.value.token) : answer;
  });
}
