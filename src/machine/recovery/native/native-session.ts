import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ClientDetails } from "../../../clients/adapter/client-details.ts";
import { pathsOf, type SessionFiles } from "../../../clients/adapter/session-files.ts";
import type { Conversation, Item, NewSession, SessionWriter } from "../../../clients/conversation/conversation.ts";
import { detailsOf } from "../../../clients/details.ts";
import { readConversation } from "../../../clients/read-conversation.ts";
import { compressedEnd } from "../../../clients/transcript/transcript-file.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";
import { redactJson } from "../../../redaction/redact-json.ts";
import { redact } from "../../../redaction/redact.ts";
import { listAt, type JsonObject } from "../../../shared/json-fields.ts";
import { err, type Result } from "../../../shared/result.ts";
import type { Driver } from "../../../store/driver.ts";
import type { Session } from "../../sessions/sessions.ts";

interface Made {
  readonly id: string;
  /** Path of the file; null: its client keeps the session otherwise. */
  readonly file: string | null;
  /** An earlier call has written it: nothing was changed. */
  readonly isRepeated: boolean;
}

/**
 * Writes a session as its client does, or has the client import it. Nothing is overwritten.
 *
 * @param mayBeThere its id is not new: an earlier call may have written it
 * @throws a system error, or that of the client; then nothing is left
 */
export async function writeSession(
  client: ClientDetails & { readonly writer: SessionWriter },
  conversation: Conversation,
  to: NewSession,
  mayBeThere = false,
): Promise<Made> {
  const { id, path, rows } = client.writer.write(conversation, to);
  if (path === null) {
    const known = mayBeThere ? await client.program?.exportSession(to, id) : null;
    const isWhole = (document: JsonObject): boolean =>
      listAt(known ?? null, "messages").length >= listAt(document, "messages").length;
    if (known && rows.every(isWhole)) return { id, file: null, isRepeated: true };
    for (const document of rows) await client.program?.importDocument(to, document);
    return { id, file: null, isRepeated: false };
  }
  if (mayBeThere && existsSync(path)) return { id, file: path, isRepeated: true };
  createPrivateFolder(dirname(path));
  writeAtomically(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""), { isNew: true });
  return { id, file: path, isRepeated: false };
}

interface Redacted {
  readonly conversation: Conversation;
  /** Secrets and private texts that markers replace. */
  readonly count: number;
}

/** Pure. The new session is a second file of what was said: secrets stay in the first one alone. */
export function redactConversation(conversation: Conversation): Redacted {
  const items = conversation.items.map(redactItem);
  const count = items.reduce((sum, one) => sum + one.count, 0);
  return { conversation: { ...conversation, items: items.map(({ item }) => item) }, count };
}

/** Pure. @returns also the number of secrets and private texts that markers replace */
export function redactItem(item: Item): { readonly item: Item; readonly count: number } {
  if (item.kind === "call") {
    const { value, count } = redactJson(item.input);
    return { item: { ...item, input: value }, count };
  }
  const { text, count } = redact(item.text);
  return { item: { ...item, text }, count };
}

export interface ReaderDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly driver: Driver;
  /** Folder in which the session's client is started, where only it opens its sessions. */
  readonly cwd: string;
}

/** Reads a session from where its client keeps it. Returns why that is impossible. */
export async function readSource(deps: ReaderDeps, session: Session): Promise<Result<Conversation, string>> {
  const path = fileOf(deps.env, session);
  if (path !== null) return readConversation(path, deps.driver);
  const document = await detailsOf(session.client)?.program?.exportSession(deps, session.id);
  if (!document) return err("no transcript of it is there");
  return asFile(document, (exported) => readConversation(exported, deps.driver));
}

/** Writes an export for code that reads files; the file is gone once `read` is done. */
export async function asFile<T>(document: JsonObject, read: (path: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "shim-export-"));
  try {
    const path = join(folder, "export.json");
    writeFileSync(path, JSON.stringify(document), { mode: 0o600 });
    return await read(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** File in which its client keeps a session; null: none is there. */
export function fileOf(env: NodeJS.ProcessEnv, { client, id, transcriptPath }: Session): string | null {
  const files = detailsOf(client)?.sessions;
  const known = transcriptPath === null ? [] : [transcriptPath, `${transcriptPath}${compressedEnd}`];
  return known.find((path) => existsSync(path)) ?? (files ? (filesOf(env, files, id)[0] ?? null) : null);
}

/** Files of a session by its id, also in its client's archive. */
export function filesOf(env: NodeJS.ProcessEnv, files: SessionFiles, id: string): string[] {
  return pathsOf(env, files, [...files.files, ...(files.archive ?? [])], id).filter((path) => existsSync(path));
}
