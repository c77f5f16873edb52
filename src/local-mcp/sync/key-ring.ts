import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { codeOf as errorCodeOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeWorkspace } from "../authority.ts";
import { createPrivateFolder, writeAtomically } from "../store/store-files.ts";
import { codeOf, readCode, type WorkspaceKey } from "./workspace-key.ts";

/** The keys of one workspace that this machine has. */
export interface KeyRing {
  /** Seals. */
  readonly current: WorkspaceKey;
  /** By id; earlier ones open what was sealed under them. */
  readonly keys: ReadonlyMap<string, WorkspaceKey>;
}

/** Stored. `workspace-keys.json`, readable by its owner only: codes by workspace, the current one last. */
const KeyFile = z.strictObject({ workspaces: z.record(z.string(), z.array(z.string()).min(1)) });
type KeyFile = z.infer<typeof KeyFile>;

export function keyFile(home: string): string {
  return join(home, "workspace-keys.json");
}

/**
 * [SY41] Keys of the workspace; the one in SHIM_WORKSPACE_KEY comes before those in the file. Null: this machine has none.
 *
 * @returns else why they cannot be read, without a key
 */
export function readKeys(
  home: string,
  edge: EdgeWorkspace,
  env: Readonly<Record<string, string | undefined>>,
): Result<KeyRing | null, string> {
  const file = readFile(home);
  if (!file.ok) return file;
  const stored = keysOf(file.value.workspaces[nameOf(edge)] ?? []);
  if (stored === null) return damaged(home);
  const given = env["SHIM_WORKSPACE_KEY"];
  if (given === undefined || given.trim() === "") return ok(ringOf(stored));
  const own = readCode(given);
  return own.ok ? ok(ringOf([...stored, own.value])) : err(`SHIM_WORKSPACE_KEY: ${own.error}`);
}

/**
 * The key seals from now on; those before stay, to open what was sealed under them.
 *
 * @returns else why nothing was changed
 */
export function keepKey(home: string, edge: EdgeWorkspace, key: WorkspaceKey): Result<void, string> {
  const file = readFile(home);
  if (!file.ok) return file;
  const before = file.value.workspaces[nameOf(edge)] ?? [];
  const code = codeOf(key);
  const codes = [...before.filter((one) => one !== code), code];
  createPrivateFolder(home);
  const next: KeyFile = { workspaces: { ...file.value.workspaces, [nameOf(edge)]: codes } };
  writeAtomically(keyFile(home), `${JSON.stringify(next, null, 2)}\n`);
  return ok(undefined);
}

function ringOf(keys: readonly WorkspaceKey[]): KeyRing | null {
  const current = keys.at(-1);
  return current ? { current, keys: new Map(keys.map((key) => [key.id, key])) } : null;
}

function keysOf(codes: readonly string[]): WorkspaceKey[] | null {
  const read = codes.map(readCode);
  return read.every((one) => one.ok) ? read.map((one) => one.value) : null;
}

function readFile(home: string): Result<KeyFile, string> {
  try {
    const parsed = KeyFile.safeParse(JSON.parse(readFileSync(keyFile(home), "utf8")));
    return parsed.success ? ok(parsed.data) : damaged(home);
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return ok({ workspaces: {} });
    // Not what is in it: that may be a key.
    return error instanceof SyntaxError ? damaged(home) : err(`${keyFile(home)}: ${String(errorCodeOf(error))}`);
  }
}

function damaged(home: string): Result<never, string> {
  return err(`${keyFile(home)} is damaged; put a copy of it back, or move it away and join again with the key`);
}

function nameOf({ url, workspace }: EdgeWorkspace): string {
  return `${url.replace(/\/+$/, "")} ${workspace}`;
}
