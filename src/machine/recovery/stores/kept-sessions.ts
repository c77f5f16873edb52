import { lstatSync, statSync, existsSync, type Stats } from "node:fs";
import { cp, copyFile, mkdir, rename, rm, stat, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  pathsBelow,
  pathsOf,
  readText,
  rootOf,
  uuid,
  type SessionFiles,
} from "../../../clients/adapter/session-files.ts";
import { allSessionFiles, clientDetails, detailsOf, sessionFilesOf } from "../../../clients/details.ts";
import { problemOf } from "../../../clients/transcript/transcript-file.ts";
import type { HookClient } from "../../../contract/clients.ts";
import type { CheckedSession } from "../../../contract/machine/stores.ts";
import { codeOf } from "../../../shared/error.ts";
import { parseObject } from "../../../shared/json-fields.ts";
import type { Driver } from "../../../store/driver.ts";

/** A file in which a client keeps a session. */
export interface KeptSession {
  readonly client: HookClient;
  readonly id: string;
  readonly path: string;
  /** Epoch ms. */
  readonly changedAt: number;
  /** Its client does not list it. */
  readonly isArchived: boolean;
  /** Session whose sub-agent it is; null: none. */
  readonly subagentOf: string | null;
  /** Program that keeps it instead of the client; null: the client does. */
  readonly by: string | null;
}

/** Fewer characters of an id name too much; other ones are of no id. */
const searchable = /^[\w-]{8,}$/;

export function isSearchable(prefix: string): boolean {
  return searchable.test(prefix);
}

/**
 * Reads folders at the depth at which each client keeps its sessions.
 *
 * @param prefix beginning of an id
 */
export function findKept(env: NodeJS.ProcessEnv, prefix: string): KeptSession[] {
  if (!isSearchable(prefix)) return [];
  return eachOnce(allSessionFiles.flatMap(([name, client]) => keptBy(env, name, client, prefix)));
}

export interface StoredId {
  readonly id: string;
  /** The database. */
  readonly path: string;
}

/** The same for clients that keep their sessions in databases. What cannot be read has none. */
export function findStored(env: NodeJS.ProcessEnv, driver: Driver, prefix: string): StoredId[] {
  if (!isSearchable(prefix)) return [];
  return clientDetails.flatMap(({ database }) =>
    (database?.paths(env) ?? []).filter(existsSync).flatMap((path) => {
      const found = database?.find(path, driver, prefix);
      return found?.ok ? found.value.map((id) => ({ id, path })) : [];
    }),
  );
}

interface ListedKept {
  readonly kept: readonly KeptSession[];
  /** Reasons by path: folders that cannot be listed, and what has a file's name and is none. */
  readonly unread: ReadonlyMap<string, string>;
}

/** All that a client keeps, also in its archive, by path. */
export function listKept(env: NodeJS.ProcessEnv, name: HookClient): ListedKept {
  const client = sessionFilesOf(name);
  const unread = new Map<string, string>();
  const kept = client ? eachOnce(keptBy(env, name, client, "", { unread })) : [];
  return { kept: kept.toSorted((a, b) => (a.path < b.path ? -1 : 1)), unread };
}

/** A client may have two files of one session, of which it reads the first. */
function eachOnce(found: readonly KeptSession[]): KeptSession[] {
  const seen = new Set<string>();
  return found.filter(({ client, id, path }) => {
    const key = sessionFilesOf(client)?.isOneById === true ? `${client} ${id}` : path;
    return !seen.has(key) && seen.add(key);
  });
}

/**
 * Sessions of persons that the client has changed since a moment; what cannot be read has none.
 *
 * @param since epoch ms
 */
export function changedSince(
  { env, driver }: { readonly env: NodeJS.ProcessEnv; readonly driver: Driver },
  name: HookClient,
  since: number,
): Pick<KeptSession, "id" | "changedAt">[] {
  const { sessions: client, database } = detailsOf(name) ?? {};
  const stored = (database?.paths(env) ?? []).filter(existsSync).flatMap((path) => {
    const found = database?.changedSince(path, driver, since);
    return found?.ok ? found.value : [];
  });
  const kept = client ? keptBy(env, name, client, "", { since }) : [];
  return [...stored, ...kept.filter(({ subagentOf, path }) => subagentOf === null && !isHidden(client, path))];
}

function isHidden(client: SessionFiles | undefined, path: string): boolean {
  const row = parseObject(readText(path, headBytes)?.split("\n", 1)[0] ?? "");
  return row !== null && (client?.store?.hides?.(row) ?? null) !== null;
}

interface Listing {
  /** Gets what cannot be read. */
  readonly unread?: Map<string, string>;
  /** Epoch ms: only what was changed since. */
  readonly since?: number;
}

function keptBy(
  env: NodeJS.ProcessEnv,
  name: HookClient,
  client: SessionFiles,
  prefix: string,
  { unread = new Map(), since = 0 }: Listing = {},
): KeptSession[] {
  const onUnlisted = (folder: string, error: unknown): void => void unread.set(folder, problemOf(error));
  const id = `${prefix}*`;
  const archived = new Set(pathsOf(env, client, client.archive ?? [], id, onUnlisted));
  const others = client.store?.others?.(env);
  const ofOthers = new Set(others ? pathsBelow(others.root, others.files, id, onUnlisted) : []);
  const all = [...pathsOf(env, client, client.files, id, onUnlisted), ...archived, ...ofOthers];
  const paths = all.filter((path) => client.store?.isBeside?.(basename(path)) !== true);
  return paths.flatMap((path) => {
    const stats = statsOf(path);
    if (stats === null) return [];
    if (typeof stats === "string") {
      unread.set(path, stats);
      return [];
    }
    if (stats.mtimeMs < since) return [];
    const named = idOf(path, prefix);
    const isSubagent = client.store?.isSubagent?.(basename(path)) === true;
    // A walk over the store leaves out no file, and a search none that has lost its id.
    const ofFile = prefix === "" || named === "" ? basename(path).replace(fileEnd, "") : null;
    const id = isSubagent ? ofFile : named || ofFile;
    if (id === null) return [];
    return [
      {
        client: name,
        id,
        path,
        changedAt: stats.mtimeMs,
        isArchived: archived.has(path),
        subagentOf: (isSubagent && named) || null,
        by: others && ofOthers.has(path) ? others.by : null,
      },
    ];
  });
}

/**
 * A file of which nothing is known is listed all the same: its reader says why.
 * @returns why it is no file; null: nothing is there, or a folder
 */
function statsOf(path: string): Pick<Stats, "mtimeMs" | "size"> | string | null {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return lstatSync(path, { throwIfNoEntry: false }) ? "it is a link to nothing" : null;
    if (stats.isDirectory()) return null;
    return stats.isFile() ? stats : "it is a pipe, a socket or a device";
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return { mtimeMs: 0, size: 0 };
  }
}

/**
 * Clients name a file, or its folder, by the id, or by the first part of it alone.
 * @returns empty: the file has no id; null: it has another one
 */
function idOf(path: string, prefix: string): string | null {
  const named = [basename(path), basename(dirname(path))].flatMap((name) => uuidAtEnd(name) ?? []);
  const ids = named.length > 0 ? named : [idIn(path) ?? ""];
  return ids.find((id) => id === "" || id.startsWith(prefix)) ?? null;
}

const fileEnd = /(?:\.jsonl|\.json)?(?:\.zst)?$/;

export function uuidAtEnd(name: string): string | null {
  const id = name.replace(fileEnd, "").slice(-36);
  return uuid.test(id) ? id : null;
}

const headBytes = 65_536;

function idIn(path: string): string | null {
  return /"sessionId":\s{0,8}"([\w-]{1,200})"/.exec(readText(path, headBytes) ?? "")?.[1] ?? null;
}

/** Folders in which they are looked for. */
export function searchedFolders(env: NodeJS.ProcessEnv): string[] {
  return allSessionFiles.flatMap(([, client]) =>
    [...new Set([...client.files, ...(client.archive ?? [])].map((pattern) => pattern.split("/")[0] ?? ""))].map(
      (folder) => join(rootOf(env, client), folder),
    ),
  );
}

/** Whether the session's file, or the database that has it, is where its client looks for it. */
export function isKept(env: NodeJS.ProcessEnv, client: string, id: string, path: string): boolean {
  const { sessions, database } = detailsOf(client) ?? {};
  const paths = sessions ? pathsOf(env, sessions, sessions.files, id) : (database?.paths(env) ?? []);
  return paths.includes(path);
}

/** Folder of a session's copy. @param folder of all copies */
export function keptFolder(folder: string, client: string, session: string): string {
  return join(folder, client, session);
}

/**
 * Copies the files of one session, and the transcripts of its sub-agents, into SHIM's home. A copy
 * that is there is replaced once the new one is whole; of what the client has deleted it stays.
 *
 * @returns each file with the path of its copy
 * @throws a system error; then nothing is left of the new copy
 */
export async function keepSession(
  folder: string,
  files: readonly Pick<CheckedSession, "client" | "session" | "file">[],
  { store }: SessionFiles,
): Promise<ReadonlyMap<string, string>> {
  const [first] = files;
  if (first === undefined) return new Map();
  const own = keptFolder(folder, first.client, first.session);
  const partial = `${own}.partial`;
  const copies = new Map<string, string>();
  try {
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o700 });
    for (const { file, session } of files) {
      const name = freeName(partial, basename(file));
      await copyFile(file, join(partial, name));
      const { atime, mtime } = await stat(file);
      await utimes(join(partial, name), atime, mtime);
      copies.set(file, join(own, name));
      const from = store?.subagents?.(file, session);
      if (from !== undefined && existsSync(from))
        await cp(from, join(partial, session, "subagents"), { recursive: true });
    }
    if (existsSync(own)) await cp(own, partial, { recursive: true, force: false, preserveTimestamps: true });
    await rm(own, { recursive: true, force: true });
    await rename(partial, own);
    return copies;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** Files of one name may stand in several folders. */
function freeName(folder: string, name: string): string {
  let free = name;
  for (let at = 2; existsSync(join(folder, free)); at += 1) free = `${at}-${name}`;
  return free;
}
