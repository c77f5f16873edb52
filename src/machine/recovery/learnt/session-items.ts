import { readText } from "../../../clients/adapter/session-files.ts";
import type { Item } from "../../../clients/conversation/conversation.ts";
import { details } from "../../../clients/details.ts";
import { readNewestItems } from "../../../clients/read-conversation.ts";
import type { ReadLimits } from "../../../clients/transcript.ts";
import { hookClients, type HookClient } from "../../../contract/clients.ts";
import type { WorkState } from "../../../contract/work-state.ts";
import { interpret } from "../../../platform/time-budget.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import * as journal from "../../sessions/journal.ts";
import { chainOf } from "../../sessions/checkpoints/predecessors.ts";
import { hasHistory, isOnlyImported, type Session } from "../../sessions/sessions.ts";
import { transcriptMark } from "../../sessions/session-settings.ts";
import { agentHeadBytes, firstHead, subagentsOf } from "../../sessions/transcripts/record-subagents.ts";
import { readLimitsOf } from "../../sessions/transcripts/record-transcript.ts";
import { fileOf, filesOf, redactItem } from "../native/native-session.ts";
import { learn, type Learnt } from "./learnt.ts";

/** Words and calls of a session, by its transcript, SHIM's journal, or its saved state. */
export interface SessionItems {
  readonly session: string;
  /** Oldest first, without secrets. */
  readonly items: readonly Item[];
  readonly from: "transcript" | "journal" | "state";
}

/** Bytes of a transcript that are read, from its end, and characters of its newest items. */
export interface Size {
  readonly bytes: number;
  readonly chars: number;
}

const forBrief: Size = { bytes: 8_000_000, chars: 2_000_000 };

/**
 * Adds the names that a session, and those that it continues, have learnt, where any can be read.
 * Reads transcripts, so not to be called in a transaction.
 */
export function withLearnt<From extends { readonly session: Session }>(
  runtime: Runtime,
  from: From,
): From & { readonly learnt?: Learnt } {
  const learnt = interpret(() => learntOf(runtime, from.session));
  return learnt ? { ...from, learnt } : from;
}

function learntOf(runtime: Runtime, session: Session): Learnt | null {
  const chain = runtime.store.read((sql) => chainOf(sql, session), [session]);
  let { chars } = forBrief;
  const all: (readonly Item[])[] = [];
  for (const one of chain.toReversed()) {
    const items = chars > 0 ? (readKept(runtime, one, { ...forBrief, chars }) ?? []) : [];
    chars -= items.reduce((sum, item) => sum + charsOf(item), 0);
    all.unshift(items);
  }
  const items = all.flat();
  return items.length === 0 ? null : learn({ items, cwd: session.cwd });
}

/** The journal has the words of what a transcript does not have, or no more. */
export function readItems(runtime: Runtime, session: Session, size: Size): SessionItems {
  const rows = runtime.store.read((sql) => journal.list(sql, session.id, 0, maxRows), []);
  const kept = readKept(runtime, session, size);
  if (kept === null) return { session: session.id, items: rows.flatMap(itemsOfRow), from: "journal" };
  const since = kept.find(({ at }) => at !== null)?.at ?? 0;
  const earlier = rows.filter(({ at, entry }) => at < since && wordKinds.has(entry.kind));
  return { session: session.id, items: [...earlier.flatMap(itemsOfRow), ...kept], from: "transcript" };
}

const maxRows = 100_000;
const wordKinds: ReadonlySet<string> = new Set(["prompt", "assistant", "compacted"]);

/** Newest items that the client keeps, without secrets, oldest first; null: none can be read. */
export function readKept(runtime: Runtime, session: Session, size: Size): readonly Item[] | null {
  const { env, store } = runtime;
  const client = hookClients.find((one) => one === session.client);
  if (client === undefined) return null;
  const paths = [fileOf(env, session) ?? [], details[client].database?.paths(env) ?? []].flat();
  for (const path of paths) {
    const limits = store.read((sql) => limitsOf(sql, path, session), {});
    const source = { client, path, driver: store.context.driver, session: session.id, limits };
    const items = readNewestItems(source, size.bytes);
    if (items && items.length > 0) return withoutSecrets(ofSession(items, session, limits), size.chars);
  }
  return null;
}

/** A sub-agent as the call that started it names it. */
export interface SubagentCall {
  /** Its id; null: its client names none, or not yet. */
  readonly agent: string | null;
  readonly prompt: string | null;
  /** Ids of those that other calls have started. */
  readonly others: ReadonlySet<string>;
}

/** Items of a sub-agent, without secrets, oldest first; none where its client keeps none. */
export function readAgentItems(runtime: Runtime, session: Session, call: SubagentCall, size: Size): readonly Item[] {
  const { env, store } = runtime;
  const client = hookClients.find((one) => one === session.client);
  if (client === undefined) return [];
  for (const path of pathsOfAgent(env, client, session, call)) {
    const limits = store.read((sql) => limitsOf(sql, path, session), {});
    const source = { client, path, driver: store.context.driver, session: call.agent ?? session.id, limits };
    const items = readNewestItems(source, size.bytes, call.agent);
    // Rows before its prompt are copies of those of the chat that started it.
    const prompt = Math.max(0, items?.findIndex(({ kind }) => kind === "prompt") ?? 0);
    if (items) return withoutSecrets(ofSession(items.slice(prompt), session, limits), size.chars);
  }
  return [];
}

/** Clients give it a session of its own, a file beside that of its session, or rows in that. */
function pathsOfAgent(env: NodeJS.ProcessEnv, client: HookClient, session: Session, call: SubagentCall): string[] {
  const { database, sessions } = details[client];
  const { agent } = call;
  const threads = agent === null || !sessions || !/^[\w-]+$/.test(agent) ? [] : filesOf(env, sessions, agent);
  return [
    ...(agent === null ? [] : (database?.paths(env) ?? [])),
    ...threads.filter((path) => firstHead(client, path)?.parent === session.id),
    (sessions?.hasSubagentRows && fileOf(env, session)) ?? [],
    fileOfAgent(session, call) ?? [],
  ].flat();
}

function fileOfAgent(session: Session, { agent, prompt, others }: SubagentCall): string | undefined {
  const files = subagentsOf(session);
  const named = files.find(({ agentId }) => agentId === agent);
  if (named || prompt === null) return named?.path;
  const quoted = JSON.stringify(prompt);
  // The first row has the prompt, in some clients among other words.
  const first = files
    .filter(({ agentId }) => !others.has(agentId))
    .map(({ path }) => ({ path, text: readText(path, quoted.length + agentHeadBytes) ?? "" }));
  return (
    first.find(({ text }) => text.includes(quoted)) ?? first.find(({ text }) => text.includes(quoted.slice(1, -1)))
  )?.path;
}

/** The mark of a session that was forgotten while it lived is by its id. */
function limitsOf(sql: Sql, path: string, session: Session): ReadLimits {
  const limits = readLimitsOf(sql, path, session);
  return { ...limits, minOffset: Math.max(limits.minOffset ?? 0, transcriptMark(sql, session.id)) };
}

/** A client may write the first row before its event. */
const rowBeforeEventMs = 2_000;

/** A document has all that was said: also in pauses, and before what is forgotten. */
function ofSession(items: readonly Item[], session: Session, { isExcluded }: ReadLimits): readonly Item[] {
  const since = isOnlyImported(session) || hasHistory(session) ? 0 : session.startedAt - rowBeforeEventMs;
  return items.filter(({ at }) => at === null || (at >= since && isExcluded?.(at, session.cwd) !== true));
}

function withoutSecrets(items: readonly Item[], most: number): readonly Item[] {
  let chars = 0;
  const first = items.findLastIndex((item) => (chars += charsOf(item)) > most);
  return items.slice(first + 1).map((item) => redactItem(item).item);
}

function charsOf(item: Item): number {
  return item.kind === "call" ? JSON.stringify(item.input).length : item.text.length;
}

/** The journal has no secrets, and of a call what its row has of input and output. */
function itemsOfRow({ seq, at, entry }: journal.JournalRow): Item[] {
  if (entry.kind === "prompt" || entry.kind === "assistant")
    return [{ kind: entry.kind === "prompt" ? "prompt" : "answer", text: entry.text, at }];
  if (entry.kind === "compacted") return entry.summary === "" ? [] : [{ kind: "summary", text: entry.summary, at }];
  if (entry.kind === "subagent_end") return endedCall(`${seq}`, { name: "Task", input: "", output: entry.text, at });
  if (entry.kind === "tool_error") return endedCall(`${seq}`, { ...entry, error: entry.text, at });
  return entry.kind === "tool_end" ? endedCall(`${seq}`, { ...entry, at }) : [];
}

type Ended = Omit<WorkState["calls"][number], "at"> & { readonly at: number; readonly path?: string | undefined };

function endedCall(id: string, { name, input, path, output = "", error, at }: Ended): Item[] {
  const fields = path === undefined ? { command: input } : { file_path: path };
  return [
    { kind: "call", id, name, input: fields, at },
    { kind: "result", of: id, text: error ?? output, isError: error !== undefined, at },
  ];
}

/** A state is all that is here of a session of another machine. */
export function itemsOfState(session: string, state: WorkState): SessionItems {
  const { prompts, words, earlierWords, firstWords, calls, results = [], compactSummary, statedAt } = state;
  const distinct = new Map([...firstWords, ...earlierWords, ...words].map((one) => [one.at, one]));
  const items: Item[] = [
    ...prompts.map(({ text, at }): Item => ({ kind: "prompt", text, at })),
    ...[...distinct.values()].map(({ text, at }): Item => ({ kind: "answer", text, at })),
    ...calls.flatMap((call, index) => endedCall(`call ${index}`, call)),
    ...results.flatMap(({ text, at }, index) =>
      endedCall(`agent ${index}`, { name: "Task", input: "", output: text, at }),
    ),
  ];
  if (compactSummary !== null) items.push({ kind: "summary", text: compactSummary, at: statedAt.summary ?? null });
  return { session, items: items.toSorted((one, two) => (one.at ?? 0) - (two.at ?? 0)), from: "state" };
}
