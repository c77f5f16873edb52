import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { EdgeWorkspace } from "../local-mcp/authority.ts";
import { keepKey, readKeys, type KeyRing } from "../local-mcp/sync/key-ring.ts";
import { codeOf, makeKey, readCode, type WorkspaceKey } from "../local-mcp/sync/workspace-key.ts";
import { ok, type Result } from "../shared/result.ts";
import { failed, wrongUsage, type Refused } from "./answer.ts";
import type { Cli } from "./cli.ts";

export interface GivenKey {
  readonly keyFile?: string;
  /** A line of stdin. */
  readonly line?: string | undefined;
}

/** What has to be done with a key before the machine may use it. */
export interface FoundKey {
  readonly key: WorkspaceKey;
  /** Made here, for a workspace that had none: the code has to be shown, once. */
  readonly isNew: boolean;
}

/**
 * [SY71] The key of a workspace: as given, else as kept here, else asked for, else made where the workspace has none. Never as an argument, which
 * other users of the machine can read.
 *
 * @param wanted id of the key that the workspace seals under; null: it has none yet
 */
export async function findKey(
  cli: Cli,
  edge: EdgeWorkspace,
  given: GivenKey,
  wanted: string | null,
): Promise<Result<FoundKey, Refused["error"]>> {
  const ring = readKeys(cli.paths.home, edge, cli.io.env);
  if (!ring.ok) return failed("key_unusable", `${ring.error}.`);
  const code = codeIn(given);
  if (!code.ok) return code;
  if (code.value !== null) return checked(code.value, wanted);
  const own = ring.value && ownKey(ring.value, wanted);
  if (own) return ok({ key: own, isNew: false });
  return wanted === null ? ok({ key: makeKey(randomBytes), isNew: true }) : askedFor(cli, wanted);
}

function ownKey({ current, keys }: KeyRing, wanted: string | null): WorkspaceKey | undefined {
  return wanted === null ? current : keys.get(wanted);
}

async function askedFor(cli: Cli, wanted: string): Promise<Result<FoundKey, Refused["error"]>> {
  const typed = cli.io.isInteractive ? (await cli.io.ask("Key of the workspace (shimkey-): ")).trim() : "";
  return typed === "" ? keyNeeded(wanted) : checked(typed, wanted);
}

/** A key for a workspace that this machine belongs to already. */
export function changedKey(): WorkspaceKey {
  return makeKey(randomBytes);
}

function codeIn({ keyFile, line }: GivenKey): Result<string | null, Refused["error"]> {
  if (keyFile === undefined) return ok(line?.trim() || null);
  try {
    return ok(readFileSync(keyFile, "utf8").trim());
  } catch {
    return wrongUsage(`the key file ${keyFile} cannot be read.`);
  }
}

function checked(code: string, wanted: string | null): Result<FoundKey, Refused["error"]> {
  const key = readCode(code);
  if (!key.ok) return wrongUsage(`${key.error}. Nothing was changed.`);
  if (wanted === null || key.value.id === wanted) return ok({ key: key.value, isNew: false });
  return failed(
    "wrong_key",
    `this is key ${key.value.id}, and the workspace has ${wanted}: \`shim edge rekey --code\` shows the right one on a machine that has it. Nothing was changed.`,
  );
}

function keyNeeded(wanted: string): Refused {
  return failed(
    "key_needed",
    `the workspace has a key (${wanted}) that this machine does not know. \`shim edge rekey --code\` shows it on a machine that does; give it here as the second line of stdin, with --key-file or in SHIM_WORKSPACE_KEY. To coordinate without the sync: --no-sync. Nothing was changed.`,
  );
}

export function kept(cli: Cli, edge: EdgeWorkspace, key: WorkspaceKey): Result<void, Refused["error"]> {
  const done = keepKey(cli.paths.home, edge, key);
  return done.ok ? done : failed("key_unusable", `${done.error}.`);
}

/** [SY71] */
export function keyText(key: WorkspaceKey): string {
  return [
    `Key of the workspace: ${codeOf(key)}`,
    "Other machines ask for it when they join. Keep it where you keep passwords: anyone who has it and a token can read what is synced;",
    "when every machine that has it is lost, what is synced is lost as well. Nobody else has it, the coordinator neither.",
    "",
  ].join("\n");
}

/** [SY72] What a join says, before anything is sent. */
export const whatTheEdgeReads = [
  "What the coordinator can read: tasks, messages, state, reservations (paths of files below a project), ids and progress of chats, names of machines;",
  "of sessions and checkpoints only ids, sizes and times: names of projects and files, titles, prompts and states are sealed on this machine (docs/internals/sync.md).",
  "",
].join("\n");
