import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsOf } from "../../../clients/adapter/session-files.ts";
import type { Conversation } from "../../../clients/conversation/conversation.ts";
import { detailsOf } from "../../../clients/details.ts";
import { readConversation } from "../../../clients/read-conversation.ts";
import { compressedEnd } from "../../../clients/transcript/transcript-file.ts";
import { err, type Result } from "../../../shared/result.ts";
import type { Driver } from "../../../store/driver.ts";
import type { Session } from "../../sessions/sessions.ts";

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
  const folder = mkdtempSync(join(tmpdir(), "shim-native-"));
  try {
    const exported = join(folder, "export.json");
    writeFileSync(exported, JSON.stringify(document), { mode: 0o600 });
    return await readConversation(exported, deps.driver);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function fileOf(env: NodeJS.ProcessEnv, { client, id, transcriptPath }: Session): string | null {
  const files = detailsOf(client)?.sessions;
  const known = transcriptPath === null ? [] : [transcriptPath, `${transcriptPath}${compressedEnd}`];
  const kept = files ? pathsOf(env, files, [...files.files, ...(files.archive ?? [])], id) : [];
  return [...known, ...kept].find((path) => existsSync(path)) ?? null;
}
