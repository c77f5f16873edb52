import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { titleOf } from "../../../clients/adapters.ts";
import { details, sessionFilesOf } from "../../../clients/details.ts";
import { rootOf, type SessionFiles, type PromptList } from "../../../clients/adapter/session-files.ts";
import type { SessionDatabase, StoredSession } from "../../../clients/adapter/client-details.ts";
import { TranscriptBytes, problemOf } from "../../../clients/transcript/transcript-file.ts";
import { hookClients, type HookClient } from "../../../contract/clients.ts";
import type { MachineOutput } from "../../../contract/machine/operations.ts";
import type { CheckedSession, StoreFinding } from "../../../contract/machine/stores.ts";
import { codeOf } from "../../../shared/error.ts";
import { pluralize } from "../../../shared/format.ts";
import type { Driver } from "../../../store/driver.ts";
import { checkSession, worstOf, type CheckDeps } from "./check-session.ts";
import { keepSession, listKept } from "./kept-sessions.ts";

export interface StoreCheckDeps extends Omit<CheckDeps, "promptsOf"> {
  readonly driver: () => Promise<Driver>;
  /** Folder of the copies that are made of sessions which their client will delete. */
  readonly keepFolder: string;
  /** @param done sessions of `all` that are checked */
  readonly progress: (client: string, done: number, all: number) => void;
}

type Checked = MachineOutput<"stores.check">;
type Growing = { -readonly [Key in keyof Checked]: Checked[Key] };

/** Reads only, but for the copies. */
export async function checkStores(
  deps: StoreCheckDeps,
  { client: only, keep }: { readonly client?: HookClient | undefined; readonly keep: boolean },
): Promise<Checked> {
  const checked: Growing = { stores: [], sessions: [], unread: [] };
  for (const client of hookClients) {
    if (only !== undefined && client !== only) continue;
    const files = sessionFilesOf(client);
    if (files) await checkFiles(deps, client, files, keep, checked);
    else await checkDatabases(deps, client, checked);
  }
  return checked;
}

async function checkFiles(
  deps: StoreCheckDeps,
  client: HookClient,
  files: SessionFiles,
  keep: boolean,
  checked: Growing,
): Promise<void> {
  const path = rootOf(deps.env, files);
  const isThere = existsSync(path);
  const { kept: all, unread } = listKept(deps.env, client);
  checked.unread.push(...toUnread(unread));
  const notes: string[] = [];
  const list = files.store?.prompts;
  const prompts = list && isThere ? await readPrompts(join(path, list.file), list) : null;
  if (prompts) notes.push(prompts.note);
  const title = titleOf(client);
  const found: CheckedSession[] = [];
  for (const [at, kept] of all.entries()) {
    deps.progress(title, at, all.length);
    const promptsOf = (session: string): readonly { readonly at: number }[] => prompts?.bySession.get(session) ?? [];
    const one = await checkSession({ ...deps, promptsOf }, kept);
    if (one.ok) found.push(one.value);
    else checked.unread.push({ file: kept.path, why: one.error });
  }
  const sessions = withDeletedTogether(files, title, found);
  checked.sessions.push(...(keep ? await withCopies(deps, sessions, files, checked) : sessions));
  checked.stores.push({ client, path, isThere, sessions: all.length, notes });
}

function isExpiring({ findings }: CheckedSession): boolean {
  return findings.some(({ state }) => state === "expiring");
}

/** A client may delete more files than the one that it finds old or broken. */
function withDeletedTogether(
  { store }: SessionFiles,
  title: string,
  sessions: readonly CheckedSession[],
): readonly CheckedSession[] {
  const keyOf = store?.deletedWith;
  if (keyOf === undefined) return sessions;
  const expiring = new Map(sessions.filter(isExpiring).map(({ file }) => [keyOf(file), file]));
  return sessions.map((one) => {
    const other = expiring.get(keyOf(one.file));
    if (other === undefined || isExpiring(one)) return one;
    const text = `${title} deletes it together with ${basename(other)}, whose name ends as its own does`;
    const findings = [...one.findings, { state: "expiring" as const, text }];
    return { ...one, findings, state: worstOf(findings) };
  });
}

/** Files of one session are copied together. */
async function withCopies(
  { keepFolder }: StoreCheckDeps,
  sessions: readonly CheckedSession[],
  files: SessionFiles,
  { unread }: Growing,
): Promise<readonly CheckedSession[]> {
  const copies = new Map<string, string>();
  for (const expiring of Map.groupBy(sessions.filter(isExpiring), ({ session }) => session).values())
    try {
      for (const [file, copy] of await keepSession(keepFolder, expiring, files)) copies.set(file, copy);
    } catch (error) {
      const code = codeOf(error);
      if (code === null) throw error;
      for (const { file } of expiring)
        unread.push({ file, why: `no copy of it could be made in ${keepFolder} (${code})` });
    }
  return sessions.map((one) => ({ ...one, kept: copies.get(one.file) ?? null }));
}

interface ReadPrompts {
  readonly bySession: ReadonlyMap<string, readonly { readonly at: number }[]>;
  readonly note: string;
}

/** A client's own list of what its user has typed. */
async function readPrompts(path: string, { promptIn, mayHaveUnsent }: PromptList): Promise<ReadPrompts | null> {
  if (!existsSync(path)) return null;
  const bySession = new Map<string, { readonly at: number }[]>();
  let [count, damaged, damages] = [0, 0, 0];
  try {
    for await (const rows of TranscriptBytes.open(path).rows())
      for (const { row, damage, bytes } of rows) {
        if (damage !== null) [damages, damaged] = [damages + 1, damaged + bytes];
        const prompt = row && promptIn(row);
        if (!prompt) continue;
        count += 1;
        if (mayHaveUnsent) continue;
        const list = bySession.get(prompt.session) ?? [];
        list.push({ at: prompt.at });
        bySession.set(prompt.session, list);
      }
  } catch (error) {
    return { bySession, note: `${path}: ${problemOf(error)}` };
  }
  const whole = damages === 0 ? "all read" : `${pluralize(damages, "part")} of ${damaged} bytes could not be read`;
  return { bySession, note: `${path}: ${pluralize(count, "prompt")}, ${whole}` };
}

async function checkDatabases(deps: StoreCheckDeps, client: HookClient, checked: Growing): Promise<void> {
  const { database } = details[client];
  if (database === undefined) return;
  const title = titleOf(client);
  const inDatabases = new Set<string>();
  let isEachRead = true;
  for (const path of database.paths(deps.env)) {
    if (!existsSync(path)) {
      checked.stores.push({ client, path, isThere: false, sessions: 0, notes: [] });
      continue;
    }
    const listed = database.list(path, await deps.driver());
    if (!listed.ok) {
      isEachRead = false;
      checked.unread.push({ file: path, why: listed.error });
      checked.stores.push({ client, path, isThere: true, sessions: 0, notes: [] });
      continue;
    }
    const { sessions, ids, problem } = listed.value;
    for (const id of ids) inDatabases.add(id);
    for (const [at, stored] of sessions.entries()) {
      deps.progress(title, at, sessions.length);
      checked.sessions.push(fromDatabase(client, path, stored));
    }
    const notes = [problem === null ? "SQLite finds nothing wrong with the file" : `SQLite: ${problem}`];
    checked.stores.push({ client, path, isThere: true, sessions: sessions.length, notes });
  }
  checkOldFolder(deps, client, { database, inDatabases: isEachRead ? inDatabases : null }, checked);
}

/**
 * Adds the sessions of the folder that a client had before its database.
 *
 * @param inDatabases ids; null: a database cannot be read, and may have the folder's sessions, too
 */
function checkOldFolder(
  { env }: StoreCheckDeps,
  client: HookClient,
  {
    database: { before },
    inDatabases,
  }: { readonly database: SessionDatabase; readonly inDatabases: ReadonlySet<string> | null },
  checked: Growing,
): void {
  const path = before?.path(env);
  if (before === undefined || path === undefined || !existsSync(path)) return;
  if (inDatabases === null) {
    const notes = ["the old folder was not read: the database that cannot be read may have its sessions"];
    checked.stores.push({ client, path, isThere: true, sessions: 0, notes });
    return;
  }
  const { sessions, unread } = before.list(path, inDatabases);
  checked.sessions.push(...sessions.map((stored) => fromDatabase(client, path, stored)));
  checked.unread.push(...unread);
  const notes = ["the old folder, with what no database has"];
  checked.stores.push({ client, path, isThere: true, sessions: sessions.length, notes });
}

function fromDatabase(client: HookClient, path: string, stored: StoredSession): CheckedSession {
  const { id, title, folder, changedAt, rows, bytes, prompts, damages, subagents, file = path, hidden } = stored;
  const findings: StoreFinding[] = damages.map(({ what, bytes: size, file: own }) => ({
    state: "damaged",
    text: size === 0 ? what : `${what}: ${size.toLocaleString("en")} bytes that are no JSON`,
    ...(own === undefined ? {} : { file: own, position: 0 }),
    bytes: size,
  }));
  if (hidden !== undefined) findings.push({ state: "invisible", text: hidden });
  const damaged = damages.reduce((sum, one) => sum + one.bytes, 0);
  return {
    client,
    session: id,
    title,
    folder,
    file,
    changedAt,
    state: worstOf(findings),
    findings,
    bytes,
    read: { rows: bytes - damaged, damaged, blank: 0 },
    lines: rows,
    prompts,
    sent: null,
    subagents,
    kept: null,
  };
}

/** @param driver for databases; null: they are left out */
export function listStored(
  env: NodeJS.ProcessEnv,
  client: HookClient,
  driver: Driver | null,
): MachineOutput<"stores.list"> {
  const { database } = details[client];
  if (database === undefined) {
    const { kept, unread } = listKept(env, client);
    const sessions = kept.map(({ id, path }) => ({ client, session: id, file: path }));
    return { sessions, unread: toUnread(unread) };
  }
  const paths = driver === null ? [] : database.paths(env).filter((path) => existsSync(path));
  const found: MachineOutput<"stores.list"> = { sessions: [], unread: [] };
  for (const path of paths) {
    const listed = driver && database.list(path, driver);
    if (listed?.ok)
      found.sessions.push(...listed.value.sessions.map(({ id }) => ({ client, session: id, file: null })));
    else if (listed) found.unread.push({ file: path, why: listed.error });
  }
  return found;
}

function toUnread(unread: ReadonlyMap<string, string>): Checked["unread"] {
  return [...unread].map(([file, why]) => ({ file, why }));
}
