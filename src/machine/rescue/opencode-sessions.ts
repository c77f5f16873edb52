import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asObject, listAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { openCodeRow } from "./client-transcripts.ts";
import { ConversationReader, type TranscriptFacts } from "./read-conversation.ts";

/** OpenCode keeps sessions in a database, which only its own program opens. */
export interface OpenCodeSite {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/** @returns what it prints. Rejects when it fails, or runs for two minutes */
function run({ env, cwd }: OpenCodeSite, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env, cwd, timeout: 120_000, maxBuffer: 536_870_912 };
    execFile("opencode", args, options, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
}

export function isOpenCodeId(id: string): boolean {
  return /^ses_\w{10,200}$/.test(id);
}

/** @returns null: OpenCode has no such session, or cannot be started */
export async function exportSession(site: OpenCodeSite, id: string): Promise<JsonObject | null> {
  try {
    return parseObject(await run(site, ["export", id]));
  } catch {
    return null;
  }
}

export function factsOfDocument(document: JsonObject): TranscriptFacts {
  const reader = new ConversationReader();
  const messages = listAt(document, "messages");
  for (const [index, message] of messages.entries()) reader.add(index, openCodeRow(asObject(message) ?? {}));
  const whole = { bytes: 0, unreadable: 0, refused: null, sent: null, fused: null, isCut: false, isPart: false };
  return { ...reader.conversation, ...whole, lines: messages.length };
}

/**
 * [RS5] Imports the first messages of a session as another session.
 *
 * @param letters that no id of the client has had
 * @returns the new id
 */
export async function importCopy(
  site: OpenCodeSite,
  document: JsonObject,
  until: number | null,
  letters: string,
): Promise<string> {
  const info = objectAt(document, "info");
  const renew = (id: string): string => `${id.slice(0, -letters.length)}${letters}`;
  const newId = renew(textAt(info, "id") ?? "");
  const renewed = (from: JsonObject | null, ...keys: readonly string[]): JsonObject => ({
    ...from,
    ...Object.fromEntries(keys.flatMap((key) => (textAt(from, key) ? [[key, renew(String(from?.[key]))]] : []))),
    ...(from && "sessionID" in from ? { sessionID: newId } : {}),
  });
  const messages = listAt(document, "messages")
    .slice(0, until ?? undefined)
    .map(asObject);
  const copy = {
    ...document,
    info: { ...info, id: newId },
    messages: messages.map((message) => ({
      info: renewed(objectAt(message, "info"), "id", "parentID"),
      parts: listAt(message, "parts").map((part) => renewed(asObject(part), "id", "messageID")),
    })),
  };
  const folder = await mkdtemp(join(tmpdir(), "shim-rescue-"));
  try {
    const file = join(folder, `${newId}.json`);
    await writeFile(file, JSON.stringify(copy), { mode: 0o600 });
    await run(site, ["import", file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return newId;
}
