import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { ClientDetails } from "../../../clients/adapter/client-details.ts";
import type { Conversation } from "../../../clients/conversation/conversation.ts";
import type { NewSession, SessionWriter } from "../../../clients/conversation/session-writer.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";

interface Made {
  readonly id: string;
  /** Path of the file; null: its client keeps the session otherwise. */
  readonly file: string | null;
}

/**
 * Writes a session as its client does, or has the client import it. Nothing is overwritten.
 *
 * @throws a system error, or that of the client; then nothing is left
 */
export async function writeSession(
  client: ClientDetails & { readonly writer: SessionWriter },
  conversation: Conversation,
  to: NewSession,
): Promise<Made> {
  const { id, path, rows } = client.writer.write(conversation, to);
  if (path === null) {
    for (const document of rows) await client.program?.importDocument(to, document);
    return { id, file: null };
  }
  createPrivateFolder(dirname(path));
  const check = (): void => {
    if (existsSync(path)) throw Object.assign(new Error(`${path} exists`), { code: "EEXIST" });
  };
  check();
  writeAtomically(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(""), { check });
  return { id, file: path };
}
