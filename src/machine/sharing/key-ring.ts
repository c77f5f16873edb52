import { hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { nameOf, type EdgeWorkspace } from "../../coordinator-client/edge-config.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { codeOf as errorCodeOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as carriedCode from "./carried-code.ts";
import type { CodeKind } from "./carried-code.ts";

/** Secret of the workspace's machines. Never sent to a coordinator. */
export interface WorkspaceKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

const keyBytes = 32;
const codeKind: CodeKind = {
  name: "key",
  prefix: "shimkey-",
  secretBytes: keyBytes,
  checkBytes: 4,
  use: "shim key",
  command: "shim workspace key show",
};

export function createKey(random: (bytes: number) => Uint8Array): WorkspaceKey {
  return toKey(random(keyBytes));
}

function toKey(bytes: Uint8Array): WorkspaceKey {
  return { id: deriveKey(bytes, "shim key id", 8).toString("hex"), bytes };
}

/** One derived key for each use (RFC 5869), so that one use reveals nothing of another. */
export function deriveKey(
  bytes: Uint8Array,
  use: "shim key id" | "shim seal" | "shim names" | "shim claim",
  length: number,
): Buffer {
  return Buffer.from(hkdfSync("sha256", bytes, "", use, length));
}

/** Text that people carry to another machine. */
export function formatCode({ bytes }: WorkspaceKey): string {
  return carriedCode.formatCode(codeKind, bytes);
}

export function parseCode(text: string): Result<WorkspaceKey, string> {
  const secret = carriedCode.parseCode(codeKind, text);
  return secret.ok ? ok(toKey(secret.value)) : secret;
}

export interface KeyRing {
  readonly current: WorkspaceKey;
  /** Keys by id; earlier ones open what was sealed under them. */
  readonly keys: ReadonlyMap<string, WorkspaceKey>;
}

const KeyFile = z.strictObject({ workspaces: z.record(z.string(), z.array(z.string()).min(1)) });
type KeyFile = z.infer<typeof KeyFile>;

export function keyFilePath(home: string): string {
  return join(home, "workspace-keys.json");
}

/** SHIM_WORKSPACE_KEY precedes the keys in the file. Errors never contain a key. */
export function readKeys(
  home: string,
  edge: EdgeWorkspace,
  env: Readonly<Record<string, string | undefined>>,
): Result<KeyRing | null, string> {
  const file = readKeyFile(home);
  if (!file.ok) return file;
  const storedKeys = parseCodes(file.value.workspaces[nameOf(edge)] ?? []);
  if (storedKeys === null) return damagedError(home);
  const environmentCode = env["SHIM_WORKSPACE_KEY"];
  if (environmentCode === undefined || environmentCode.trim() === "") return ok(toKeyRing(storedKeys));
  const environmentKey = parseCode(environmentCode);
  return environmentKey.ok
    ? ok(toKeyRing([...storedKeys, environmentKey.value]))
    : err(`SHIM_WORKSPACE_KEY: ${environmentKey.error}`);
}

/** The same where there must be one. @returns why this machine has none */
export function requireKeys(...of: Parameters<typeof readKeys>): Result<KeyRing, string> {
  const keys = readKeys(...of);
  if (!keys.ok) return keys;
  if (keys.value !== null) return ok(keys.value);
  return err("this machine has no key of the workspace; `shim workspace key set` stores it here");
}

/** Makes the key current; earlier ones stay, to open what they sealed. */
export function addKey(home: string, edge: EdgeWorkspace, key: WorkspaceKey): Result<void, string> {
  const code = formatCode(key);
  return changeCodes(home, edge, (codes) => [...codes.filter((earlier) => earlier !== code), code]);
}

/** Only for a key under which nothing was sealed. */
export function removeKey(home: string, edge: EdgeWorkspace, key: WorkspaceKey): Result<void, string> {
  const code = formatCode(key);
  return changeCodes(home, edge, (codes) => codes.filter((other) => other !== code));
}

function changeCodes(
  home: string,
  edge: EdgeWorkspace,
  change: (codes: readonly string[]) => string[],
): Result<void, string> {
  const file = readKeyFile(home);
  if (!file.ok) return file;
  const name = nameOf(edge);
  const { [name]: earlierCodes = [], ...workspaces } = file.value.workspaces;
  const codes = change(earlierCodes);
  createPrivateFolder(home);
  const nextFile: KeyFile = { workspaces: codes.length === 0 ? workspaces : { ...workspaces, [name]: codes } };
  writeAtomically(keyFilePath(home), `${JSON.stringify(nextFile, null, 2)}\n`);
  return ok(undefined);
}

function toKeyRing(keys: readonly WorkspaceKey[]): KeyRing | null {
  const current = keys.at(-1);
  return current ? { current, keys: new Map(keys.map((key) => [key.id, key])) } : null;
}

/** Each round reads the keys, and what is derived of one belongs to its object. */
const parsedKeys = new Map<string, WorkspaceKey>();

function parseCodes(codes: readonly string[]): WorkspaceKey[] | null {
  const keys: WorkspaceKey[] = [];
  for (const code of codes) {
    const parsed = parsedKeys.get(code);
    const key = parsed ? ok(parsed) : parseCode(code);
    if (!key.ok) return null;
    parsedKeys.set(code, key.value);
    keys.push(key.value);
  }
  return keys;
}

function readKeyFile(home: string): Result<KeyFile, string> {
  try {
    const parsed = KeyFile.safeParse(JSON.parse(readFileSync(keyFilePath(home), "utf8")));
    return parsed.success ? ok(parsed.data) : damagedError(home);
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return ok({ workspaces: {} });
    // Omits the content: it may be a key.
    return error instanceof SyntaxError
      ? damagedError(home)
      : err(`${keyFilePath(home)}: ${String(errorCodeOf(error))}`);
  }
}

function damagedError(home: string): Result<never, string> {
  return err(`${keyFilePath(home)} is damaged; restore a copy of it, or move it away and join again with the key`);
}
