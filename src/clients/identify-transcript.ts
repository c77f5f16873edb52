import { basename, dirname } from "node:path";
import type { HookClient } from "../contract/clients.ts";
import { objectAt, textAt, type JsonObject } from "../shared/json-fields.ts";
import type { TranscriptHead } from "./transcript/transcript-head.ts";
import type { TranscriptRow } from "./transcript/transcript-rows.ts";

type Head = Omit<TranscriptHead, "client">;
type Identify = (row: JsonObject) => Head | null;

/** Each reads the session from a row of its client, and null from any other row. */
const identifiers: readonly (readonly [HookClient, Identify])[] = [
  ["codex", (row) => (row["type"] === "session_meta" ? codexHeadOf(objectAt(row, "payload")) : null)],
  [
    "copilot",
    (row) => {
      const data = row["type"] === "session.start" ? objectAt(row, "data") : null;
      const head = headOf(data, "sessionId");
      return head && { ...head, cwd: textAt(objectAt(data, "context"), "cwd", 4_096) };
    },
  ],
  ["gemini", geminiHeadOf],
  ["qwen", (row) => (Array.isArray(objectAt(row, "message")?.["parts"]) ? headOf(row, "sessionId") : null)],
  ["claude-code", (row) => (objectAt(row, "message")?.["content"] === undefined ? null : headOf(row, "sessionId"))],
];

function headOf(holder: JsonObject | null, idKey: string): Head | null {
  const session = textAt(holder, idKey, 200);
  return session === null ? null : { session, cwd: textAt(holder, "cwd", 4_096), parent: null };
}

function geminiHeadOf(row: JsonObject): Head | null {
  const folderHash = textAt(row, "projectHash", 200);
  const head = folderHash === null ? null : headOf(row, "sessionId");
  return head && { ...head, folderHash };
}

function codexHeadOf(payload: JsonObject | null): Head | null {
  const head = headOf(payload, "id");
  const spawned = objectAt(objectAt(objectAt(payload, "source"), "subagent"), "thread_spawn");
  return head && { ...head, parent: textAt(spawned, "parent_thread_id", 200) };
}

const codexTypes: ReadonlySet<unknown> = new Set(["turn_context", "event_msg", "response_item", "compacted"]);
const geminiTypes: ReadonlySet<unknown> = new Set(["user", "gemini"]);

/** For a file without the row that has the session's id: the file's name has it. */
const byOtherRows: readonly (readonly [HookClient, (row: JsonObject, path: string) => Head | null])[] = [
  [
    "codex",
    (row, path) => {
      const payload = codexTypes.has(row["type"]) ? objectAt(row, "payload") : null;
      return payload && namedBy(path, textAt(payload, "cwd", 4_096));
    },
  ],
  [
    "copilot",
    (row, path) => {
      const isEvent = /^(?:user|assistant|session|tool)\./.test(textAt(row, "type") ?? "");
      return isEvent && objectAt(row, "data") ? namedBy(dirname(path), null) : null;
    },
  ],
  [
    "gemini",
    (row, path) => (geminiTypes.has(row["type"]) && "content" in row && "id" in row ? namedBy(path, null) : null),
  ],
];

const uuid = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/i;

function namedBy(path: string, cwd: string | null): Head {
  const name = basename(path).replace(/\.jsonl?(?:\.zst)?$/, "");
  return { session: idIn(path) ?? name, cwd, parent: null };
}

function idIn(path: string): string | null {
  return uuid.exec(basename(path))?.[0] ?? null;
}

/** Rows whose ids decide: a fork begins with rows of the session that it was made of. */
const votingRows = 200;

interface IdentifiedRows extends TranscriptHead {
  /** The client's files begin with a row that names the session: it is not there. */
  readonly isHeadless: boolean;
}

/** [PO4] [TR236] Returns null where no row is of a client that SHIM knows. */
export function identifyRows(rows: Iterable<TranscriptRow>, path: string): IdentifiedRows | null {
  let other: TranscriptHead | null = null;
  let position = 0;
  const all = rows[Symbol.iterator]();
  for (let next = all.next(); next.done !== true; next = all.next()) {
    const { row } = next.value;
    // One with all messages in it is a document.
    const head = row && !("messages" in row) ? headIn(row) : null;
    if (head) {
      const session = votedClients.has(head.client) ? sessionBy(row, all, path) : firstId(head, position, path);
      return { ...head, session: session ?? head.session, isHeadless: false };
    }
    if (row) other = betterOf(other, row, path);
    position += 1;
  }
  return other && { ...other, isHeadless: true };
}

/** Codex's own row is the first; that of a session which this one continues follows it. */
function firstId({ client }: TranscriptHead, position: number, path: string): string | null {
  return client === "codex" && position > 0 ? idIn(path) : null;
}

/** Clients that name the session in each row. */
const votedClients: ReadonlySet<HookClient> = new Set<HookClient>(["claude-code", "qwen"]);

/** The id in the file's name, where rows have it; else the one that most rows have. */
function sessionBy(first: JsonObject | null, rest: Iterator<TranscriptRow>, path: string): string | null {
  const votes = new Map<string, number>();
  let row = first;
  for (let count = 0; count < votingRows; count += 1) {
    const id = textAt(row, "sessionId", 200);
    if (id !== null) votes.set(id, (votes.get(id) ?? 0) + 1);
    const next = rest.next();
    if (next.done === true) break;
    row = next.value.row;
  }
  const named = idIn(path);
  if (named !== null && votes.has(named)) return named;
  return [...votes].toSorted(([, one], [, two]) => two - one)[0]?.[0] ?? null;
}

function headIn(row: JsonObject): TranscriptHead | null {
  for (const [client, identify] of identifiers) {
    const head = identify(row);
    if (head) return { client, ...head };
  }
  return null;
}

/** A later row may name the folder. */
function betterOf(known: TranscriptHead | null, row: JsonObject, path: string): TranscriptHead | null {
  if (known !== null && known.cwd !== null) return known;
  for (const [client, identify] of byOtherRows) {
    const head = identify(row, path);
    if (head) return known === null || head.cwd !== null ? { client, ...head } : known;
  }
  return known;
}

interface TranscriptDocument {
  readonly head: TranscriptHead;
  readonly messages: readonly unknown[];
}

export function identifyDocument(document: JsonObject): TranscriptDocument | null {
  const messages = document["messages"];
  if (!Array.isArray(messages)) return null;
  const info = objectAt(document, "info");
  const opencode = headOf(info, "id");
  if (opencode) {
    const [cwd, parent] = [textAt(info, "directory", 4_096), textAt(info, "parentID", 200)];
    return { head: { client: "opencode", ...opencode, cwd, parent }, messages };
  }
  const gemini = geminiHeadOf(document);
  return gemini && { head: { client: "gemini", ...gemini }, messages };
}
