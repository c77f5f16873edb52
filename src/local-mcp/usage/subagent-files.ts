import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../../shared/error.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { idOf } from "../sessions/entries.ts";
import { pauseReadLimits } from "../sessions/paused-session.ts";
import type { Session } from "../sessions/sessions.ts";
import { readAppended } from "../signals/transcript.ts";
import { countResponses } from "./ledger.ts";

const maxFiles = 500;

/** [SI42] Called by the timer alone: a hook has no time to walk a folder. */
export function readSubagents(runtime: Runtime, session: Session): void {
  if (!session.transcriptPath) return;
  const folder = join(dirname(session.transcriptPath), basename(session.transcriptPath, ".jsonl"), "subagents");
  for (const name of transcriptsIn(folder)) readFile(runtime, session, folder, name);
}

function transcriptsIn(folder: string): string[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    return names.filter((name) => /^agent-.*\.jsonl$/.test(basename(name))).slice(0, maxFiles);
  } catch (error) {
    // Most chats have none.
    if (codeOf(error) === null) throw error;
    return [];
  }
}

function readFile(runtime: Runtime, session: Session, folder: string, name: string): void {
  const path = join(folder, name);
  const file = idOf(name);
  const { offset, limits } = runtime.store.read(
    (sql) => {
      const query = "SELECT bytes FROM usage_files WHERE session_id = ? AND name = ?";
      const bytes = sql.all<{ bytes: number }>(query, session.id, file)[0]?.bytes ?? 0;
      return { offset: bytes, limits: pauseReadLimits(sql, path, session) };
    },
    { offset: 0, limits: {} },
  );
  const part = readAppended(path, offset, limits);
  if (part.offset === offset) return;
  const subagentUsage = [...part.usage, ...part.subagentUsage];
  runtime.store.write((sql) => {
    countResponses(sql, session, { usage: [], subagentUsage }, runtime.now(), runtime.config.usage.prices);
    sql.run(
      `INSERT INTO usage_files (session_id, name, bytes) VALUES (?, ?, ?)
       ON CONFLICT (session_id, name) DO UPDATE SET bytes = excluded.bytes`,
      session.id,
      file,
      part.offset,
    );
  });
}
