import { statSync } from "node:fs";
import { basename, relative } from "node:path";
import { subagentFiles } from "../../../clients/adapter/session-files.ts";
import { details, detailsOf, subagentFormat } from "../../../clients/details.ts";
import { readAppended, type TranscriptPart } from "../../../clients/transcript.ts";
import { hookClients } from "../../../contract/clients.ts";
import type { HookInput } from "../../../contract/hooks.ts";
import { codeOf } from "../../../shared/error.ts";
import type { Sql } from "../../../shared/sql.ts";
import { usageFiles } from "../../../store/machine-tables.ts";
import { idOf } from "../entries.ts";
import { pauseReadLimits } from "../session-settings.ts";
import type { Session } from "../sessions.ts";
import { countResponses, type Prices } from "../usage/ledger.ts";
import { recordMissedTools } from "./record-calls.ts";

const maxFiles = 500;

/** Counts the usage of sub-agents, and stores their missed tool calls. @returns their number */
export function recordSubagents(sql: Sql, session: Session, now: number, { prices, isOver }: SubagentOptions): number {
  const missed = subagentsOf(session).map((file) => {
    const part = readNew(sql, session, file);
    if (!part) return 0;
    countFile(sql, session, file, part, now, prices);
    return recordMissedTools(sql, session, now, part, { agentId: file.agentId, isOver });
  });
  return missed.reduce((total, count) => total + count, 0);
}

/** Counts the usage of a sub-agent whose file the event of its end names, and no folder has. */
export function recordSubagent(
  sql: Sql,
  session: Session,
  { agent_transcript_path: path, agent_id: agentId }: HookInput,
  now: number,
  prices: Prices,
): void {
  if (!path || !agentId || detailsOf(session.client)?.sessions?.store?.subagents) return;
  const file = { path, name: idOf(agentId), agentId };
  const part = readNew(sql, session, file);
  if (part) countFile(sql, session, file, part, now, prices);
}

interface SubagentOptions {
  readonly prices: Prices;
  /** The client has ended. */
  readonly isOver: boolean;
}

/** Whether the session's transcript, or that of a sub-agent, was written to after this time. */
export function hasWritten(session: Session, since: number): boolean {
  const paths = [session.transcriptPath ?? [], subagentsOf(session).map(({ path }) => path)].flat();
  return paths.some((path) => {
    try {
      return statSync(path).mtimeMs > since;
    } catch (error) {
      if (codeOf(error) === null) throw error;
      return false;
    }
  });
}

interface SubagentFile {
  readonly path: string;
  /** Its key in the store. */
  readonly name: string;
  readonly agentId: string;
}

/** Files of the session's sub-agents; none where its client has no such files. */
export function subagentsOf({ id, client, transcriptPath: path }: Session): SubagentFile[] {
  const folder = path === null ? undefined : detailsOf(client)?.sessions?.store?.subagents?.(path, id);
  if (folder === undefined) return [];
  return subagentFiles(folder)
    .slice(0, maxFiles)
    .map((file) => {
      const agentId = idOf(basename(file, ".jsonl").replace(/^agent-/, ""));
      return { path: file, name: idOf(relative(folder, file)), agentId };
    });
}

/** Returns null if there is nothing new. */
function readNew(sql: Sql, session: Session, { path, name, agentId }: SubagentFile): TranscriptPart | null {
  const offset = usageFiles.find(sql, { session: session.id, name })?.bytes ?? 0;
  const client = hookClients.find((one) => one === session.client);
  const format = client && subagentFormat(client, agentId, details[client].readRow);
  const part = readAppended(path, offset, { ...pauseReadLimits(sql, path, session), format });
  return part.offset === offset ? null : part;
}

function countFile(
  sql: Sql,
  session: Session,
  { name }: SubagentFile,
  part: TranscriptPart,
  now: number,
  prices: Prices,
): void {
  countResponses(sql, session, { usage: [], subagentUsage: part.usage }, now, prices);
  usageFiles.put(sql, { session: session.id, name, bytes: part.offset });
}
