import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { EdgeWorkspace } from "../../../coordinator-client/edge-config.ts";
import { addKey, readKeys, removeKey, type KeyRing } from "../../../local-mcp/sync/key-ring.ts";
import { formatCode, createKey, parseCode, type WorkspaceKey } from "../../../local-mcp/sync/workspace-key.ts";
import { ok } from "../../../shared/result.ts";
import { failed, wrongUsage, type FailedResult, type CliResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";

export interface GivenKey {
  readonly keyFile?: string;
  readonly line?: string | undefined;
}

export interface FoundKey {
  readonly key: WorkspaceKey;
  /** True: made here for a workspace without a key; its code must be shown once. */
  readonly isNew: boolean;
  /** False: the workspace has no key yet, as far as is known. */
  readonly isRegistered: boolean;
}

/**
 * [SY93] Finds the key: given, stored, asked for, or made where the workspace has none.
 *
 * @param expectedKeyId id of the key that the workspace seals under; null: it has none yet
 */
export async function findKey(
  cli: Cli,
  edge: EdgeWorkspace,
  given: GivenKey,
  expectedKeyId: string | null,
): Promise<CliResult<FoundKey>> {
  const ring = readKeys(cli.paths.home, edge, cli.io.env);
  if (!ring.ok) return failed("key_unusable", `${ring.error}.`);
  const code = readKeyCode(given);
  if (!code.ok) return code;
  if (code.value !== null) return checkKey(code.value, expectedKeyId);
  const own = ring.value && findOwnKey(ring.value, expectedKeyId);
  if (own) return ok({ key: own, isNew: false, isRegistered: expectedKeyId !== null });
  if (expectedKeyId !== null) return promptForKey(cli, expectedKeyId);
  return ok({ key: createKey(randomBytes), isNew: true, isRegistered: false });
}

/** [SY161] Stores the key, and registers it where it is the workspace's first. */
export async function saveKey(
  cli: Cli,
  edge: EdgeWorkspace,
  link: Pick<Workspace, "call">,
  { key, isRegistered }: FoundKey,
): Promise<CliResult<void>> {
  const ring = readKeys(cli.paths.home, edge, cli.io.env);
  const wasStored = ring.ok && ring.value?.keys.has(key.id) === true;
  // Before its registration: a registered key that no machine has is lost for ever.
  const stored = storeKey(cli, edge, key);
  if (!stored.ok || isRegistered) return stored;
  const registered = await registerKey(link, key);
  const hasLost = !registered.ok && registered.error.code === "key_needed" && !wasStored;
  const removed = hasLost ? removeKey(cli.paths.home, edge, key) : ok(undefined);
  return removed.ok ? registered : failed("key_unusable", `${removed.error}.`);
}

/** Answers `key_needed` where another machine has registered a key meanwhile. */
async function registerKey(link: Pick<Workspace, "call">, { id }: WorkspaceKey): Promise<CliResult<void>> {
  const registered = await link.call("sync.rekey", { keyId: id, from: null });
  if (registered.ok) return ok(undefined);
  if (registered.error.code !== "wrong_key") return registered;
  const status = await link.call("sync.status", {});
  return status.ok && status.value.keyId !== null ? keyNeeded(status.value.keyId) : registered;
}

function findOwnKey({ current, keys }: KeyRing, expectedKeyId: string | null): WorkspaceKey | undefined {
  return expectedKeyId === null ? current : keys.get(expectedKeyId);
}

async function promptForKey(cli: Cli, expectedKeyId: string): Promise<CliResult<FoundKey>> {
  const typed = cli.io.isInteractive ? (await cli.io.ask("Key of the workspace (shimkey-): ")).trim() : "";
  return typed === "" ? keyNeeded(expectedKeyId) : checkKey(typed, expectedKeyId);
}

export function generateKey(): WorkspaceKey {
  return createKey(randomBytes);
}

function readKeyCode({ keyFile, line }: GivenKey): CliResult<string | null> {
  if (keyFile === undefined) return ok(line?.trim() || null);
  try {
    return ok(readFileSync(keyFile, "utf8").trim());
  } catch {
    return wrongUsage(`the key file ${keyFile} cannot be read.`);
  }
}

function checkKey(code: string, expectedKeyId: string | null): CliResult<FoundKey> {
  const key = parseCode(code);
  if (!key.ok) return wrongUsage(`${key.error}. Nothing was changed.`);
  if (expectedKeyId === null || key.value.id === expectedKeyId)
    return ok({ key: key.value, isNew: false, isRegistered: expectedKeyId !== null });
  return failed(
    "wrong_key",
    `this is key ${key.value.id}, but the workspace has ${expectedKeyId}: \`shim join rekey --code\` shows the right one on a machine that has it. Nothing was changed.`,
  );
}

function keyNeeded(expectedKeyId: string): FailedResult {
  return failed(
    "key_needed",
    `the workspace has a key (${expectedKeyId}) that this machine does not have. \`shim join rekey --code\` shows it on a machine that does; give it here as the second line of stdin, with --key-file or in SHIM_WORKSPACE_KEY. To coordinate without sync: --no-sync. Nothing was changed.`,
  );
}

export function storeKey(cli: Cli, edge: EdgeWorkspace, key: WorkspaceKey): CliResult<void> {
  const done = addKey(cli.paths.home, edge, key);
  return done.ok ? done : failed("key_unusable", `${done.error}.`);
}

export function keyText(key: WorkspaceKey): string {
  return [
    `Key of the workspace: ${formatCode(key)}`,
    "Other machines ask for it when they join. Keep it where you keep passwords: anyone who has it and a token can read what is synced;",
    "when every machine that has it is lost, what is synced is lost too. There is no other copy, not even at the coordinator.",
    "",
  ].join("\n");
}

export const edgeVisibilityText = [
  "What the coordinator can read: tasks, messages, state, reservations (paths of files below a project), ids and progress of chats, names of machines;",
  "of sessions and checkpoints only ids, sizes and times: names of projects and files, titles, prompts and states are sealed on this machine (docs/internals/sync.md).",
  "",
].join("\n");
