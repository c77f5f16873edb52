import { statSync } from "node:fs";
import { basename, relative } from "node:path";
import { agentText } from "../../../clients/adapter/harness-text.ts";
import { readText, subagentFiles } from "../../../clients/adapter/session-files.ts";
import { details, detailsOf, subagentFormat } from "../../../clients/details.ts";
import { readAppended, type TranscriptPart } from "../../../clients/transcript.ts";
import type { SessionHead } from "../../../clients/transcript/transcript-file.ts";
import { hookClients, type HookClient } from "../../../contract/clients.ts";
import type { HookInput } from "../../../contract/hooks.ts";
import { codeOf } from "../../../shared/error.ts";
import { parseObject } from "../../../shared/json-fields.ts";
import type { Sql } from "../../../shared/sql.ts";
import { usageFiles } from "../../../store/machine-tables.ts";
import { idOf } from "../entries.ts";
import { entriesOf } from "../hook-entries.ts";
import * as prompts from "../prompts.ts";
import { pauseReadLimits } from "../session-settings.ts";
import type { Session } from "../sessions.ts";
import { countResponses, type Prices } from "../usage/ledger.ts";
import { recordMissedTools } from "./record-calls.ts";

const maxFiles = 500;

/** Counts the usage of sub-agents, and stores their missed tool calls. @returns their number */
export function recordSubagents(sql: Sql, session: Session, now: number, { prices, isOver }: SubagentOptions): number {
  const missed = subagentsOf(session).map((file) => {
    const part = countFile(sql, session, file, now, prices);
    if (part === null) return 0;
    recordTyped(sql, session, now, part);
    return recordMissedTools(sql, session, now, part, { agentId: file.agentId, isOver });
  });
  // One that its client has taken along reported no end.
  for (const thread of isOver ? threadsOf(session) : []) countFile(sql, session, thread, now, prices);
  return missed.reduce((total, count) => total + count, 0);
}

/** No event brings words that the user types to a sub-agent. */
function recordTyped(sql: Sql, { id, startedAt }: Session, now: number, { texts }: TranscriptPart): void {
  const typed = texts.filter(({ startsNoTurn: how, at }) => how === "queued" && (at ?? now) >= startedAt);
  for (const { text, uuid, at } of typed) {
    const row = idOf(uuid);
    for (const { key, entry } of entriesOf("UserPromptSubmit", { session_id: id, prompt: agentText(text) }, () => row))
      if (entry.kind === "prompt") prompts.record(sql, id, at ?? now, { key, entry: { ...entry, row } });
  }
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
  countFile(sql, session, { path, name: idOf(agentId), agentId }, now, prices);
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

/** Files of the session's sub-agents, and of theirs, where each has a session of its own. */
function threadsOf({ id, client: name, transcriptPath: path }: Session): SubagentFile[] {
  const client = hookClients.find((one) => one === name);
  if (client === undefined || path === null) return [];
  const family = new Set([id]);
  return (details[client].sessions?.store?.threads?.(path) ?? []).flatMap((file) => {
    const head = firstHead(client, file);
    if (head === null || !family.has(head.parent ?? "")) return [];
    family.add(head.session);
    return [{ path: file, name: idOf(head.session), agentId: head.session }];
  });
}

/** The session that the first row of a file names. */
export function firstHead(client: HookClient, path: string): SessionHead | null {
  const [line = ""] = (readText(path, agentHeadBytes) ?? "").split("\n");
  const row = parseObject(line);
  return (row && details[client].headOf?.(row)) ?? null;
}

/** Bytes of a first row beside the characters of its prompt. */
export const agentHeadBytes = 65_536;

/** Returns null if there is nothing new. */
function readNew(sql: Sql, session: Session, { path, name, agentId }: SubagentFile): TranscriptPart | null {
  const offset = usageFiles.find(sql, { session: session.id, name })?.bytes ?? 0;
  const client = hookClients.find((one) => one === session.client);
  const format = client && subagentFormat(client, agentId, details[client].readRow);
  const part = readAppended(path, offset, { ...pauseReadLimits(sql, path, session), format });
  return part.offset === offset ? null : part;
}

/** @returns what is new */
function countFile(sql: Sql, session: Session, file: SubagentFile, now: number, prices: Prices): TranscriptPart | null {
  const part = readNew(sql, session, file);
  if (!part) return null;
  countResponses(sql, session, { usage: [], subagentUsage: part.usage }, now, prices);
  usageFiles.put(sql, { session: session.id, name: file.name, bytes: part.offset });
  return part;
}
