import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { codeOf } from "../../shared/error.ts";
import { recordMissedTools } from "./missed-tools.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { idOf } from "../sessions/entries.ts";
import { pauseReadLimits, type PauseReadLimits } from "../sessions/paused-session.ts";
import type { Session } from "../sessions/sessions.ts";
import { readSubagentLine } from "../signals/claude-lines.ts";
import { readAppended, type TranscriptPart } from "../signals/transcript.ts";
import { usageFiles } from "../../store/usage-tables.ts";
import { countResponses, type Prices } from "../usage/ledger.ts";

const maxFiles = 500;

/**
 * [SI42] [JO24] Counts usage and stores missed tool calls. A hook has time for a folder only where
 * no MCP process does it by its timer. Returns the number of unreported calls.
 */
export function readSubagents(runtime: Runtime, session: Session): number {
  const missed = filesOf(session).map((file) => {
    const position = runtime.store.read((sql) => positionIn(sql, session, file), { offset: 0, limits: {} });
    const part = readFile(file, position);
    const options = { prices: runtime.config.usage.prices, isOver: false };
    return part ? runtime.store.write((sql) => recordFile(sql, session, file, part, runtime.now(), options)) : 0;
  });
  return missed.reduce((total, count) => total + count, 0);
}

/** The same after the end of the client, in the caller's transaction. */
export function recordSubagents(sql: Sql, session: Session, now: number): void {
  for (const file of filesOf(session)) {
    const part = readFile(file, positionIn(sql, session, file));
    if (part) recordFile(sql, session, file, part, now, { prices: {}, isOver: true });
  }
}

/** Whether the session's transcript, or that of a sub-agent, was written to after this time. */
export function hasWritten(session: Session, since: number): boolean {
  const paths = [session.transcriptPath ?? [], filesOf(session).map(({ path }) => path)].flat();
  return paths.some((path) => changedAt(path) > since);
}

function changedAt(path: string): number {
  try {
    return statSync(path).mtimeMs;
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return 0;
  }
}

interface SubagentFile {
  readonly path: string;
  /** Its key in the store. */
  readonly name: string;
  readonly agentId: string;
}

function filesOf({ transcriptPath }: Session): SubagentFile[] {
  if (!transcriptPath) return [];
  const folder = join(dirname(transcriptPath), basename(transcriptPath, ".jsonl"), "subagents");
  return transcriptsIn(folder).map((name) => {
    const agentId = idOf(basename(name, ".jsonl").slice("agent-".length));
    return { path: join(folder, name), name: idOf(name), agentId };
  });
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

interface ReadPosition {
  readonly offset: number;
  readonly limits: PauseReadLimits;
}

function positionIn(sql: Sql, session: Session, { path, name }: SubagentFile): ReadPosition {
  const offset = usageFiles.find(sql, { session: session.id, name })?.bytes ?? 0;
  return { offset, limits: pauseReadLimits(sql, path, session) };
}

/** Returns null if there is nothing new. */
function readFile({ path }: SubagentFile, { offset, limits }: ReadPosition): TranscriptPart | null {
  const part = readAppended(path, offset, { ...limits, format: readSubagentLine });
  return part.offset === offset ? null : part;
}

function recordFile(
  sql: Sql,
  session: Session,
  { name, agentId }: SubagentFile,
  part: TranscriptPart,
  now: number,
  { prices, isOver }: { readonly prices: Prices; readonly isOver: boolean },
): number {
  countResponses(sql, session, { usage: [], subagentUsage: part.usage }, now, prices);
  usageFiles.put(sql, { session: session.id, name, bytes: part.offset });
  return recordMissedTools(sql, session, now, part, { agentId, isOver });
}
