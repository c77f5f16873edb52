import { textAt, type JsonObject } from "../shared/json-fields.ts";
import { askedInOrder, details } from "./details.ts";
import { idIn, type TranscriptDocument, type TranscriptHead } from "./transcript/transcript-head.ts";
import type { TranscriptRow } from "./transcript/transcript-rows.ts";

/** Rows whose ids decide: a fork begins with rows of the session that it was made of. */
const votingRows = 200;

interface IdentifiedRows extends TranscriptHead {
  /** The client's files begin with a row that names the session: it is not there. */
  readonly isHeadless: boolean;
}

/** Reads no further than it needs. Returns null where no row is of a client that SHIM knows. */
export async function identifyRows(
  batches: AsyncIterable<Iterable<TranscriptRow>>,
  path: string,
): Promise<IdentifiedRows | null> {
  let other: TranscriptHead | null = null;
  let position = 0;
  const rows = eachOf(batches);
  for await (const row of rows) {
    // One with all messages in it is a document.
    const head = row && !("messages" in row) ? headIn(row) : null;
    if (head) {
      const session = byEachRow(head) ? await sessionBy(row, rows, path) : firstId(head, position, path);
      return { ...head, session: session ?? head.session, isHeadless: false };
    }
    if (row) other = betterOf(other, row, path);
    position += 1;
  }
  return other && { ...other, isHeadless: true };
}

async function* eachOf(batches: AsyncIterable<Iterable<TranscriptRow>>): AsyncGenerator<JsonObject | null, void> {
  for await (const rows of batches) for (const { row } of rows) yield row;
}

/** The own row is the first; that of a session which this one continues follows it. */
function firstId({ client }: TranscriptHead, position: number, path: string): string | null {
  return details[client].namedBy === "first row" && position > 0 ? idIn(path) : null;
}

/** The id in the file's name, where rows have it; else the one that most rows have. */
async function sessionBy(
  first: JsonObject | null,
  rest: AsyncIterator<JsonObject | null>,
  path: string,
): Promise<string | null> {
  const votes = new Map<string, number>();
  let row = first;
  for (let count = 0; count < votingRows; count += 1) {
    const id = textAt(row, "sessionId", 200);
    if (id !== null) votes.set(id, (votes.get(id) ?? 0) + 1);
    const next = await rest.next();
    if (next.done === true) break;
    row = next.value;
  }
  const named = idIn(path);
  if (named !== null && votes.has(named)) return named;
  return [...votes].toSorted(([, one], [, two]) => two - one)[0]?.[0] ?? null;
}

function byEachRow({ client }: TranscriptHead): boolean {
  return details[client].namedBy === "each row";
}

function headIn(row: JsonObject): TranscriptHead | null {
  for (const client of askedInOrder) {
    const head = details[client].headOf?.(row);
    if (head) return { client, ...head };
  }
  return null;
}

/** A later row may name the folder. */
function betterOf(known: TranscriptHead | null, row: JsonObject, path: string): TranscriptHead | null {
  if (known !== null && known.cwd !== null) return known;
  for (const client of askedInOrder) {
    const head = details[client].headOfFile?.(row, path);
    if (head) return known === null || head.cwd !== null ? { client, ...head } : known;
  }
  return known;
}

export function identifyDocument(document: JsonObject): TranscriptDocument | null {
  for (const client of askedInOrder) {
    const found = details[client].documentOf?.(document);
    if (found) return found;
  }
  return null;
}
