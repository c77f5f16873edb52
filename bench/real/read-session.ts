import { closeSync, globSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { parseObject, type JsonObject } from "../../src/shared/json-fields.ts";
import type { Random } from "../measure.ts";
import { ClaudeReader, CodexReader, readOpenCode } from "./readers.ts";
import {
  type RecordedSession,
  type SessionEvent,
  withoutWithdrawn,
  withTurnEnds,
  type EventBody,
  type SessionClient,
} from "./session-events.ts";

/** The rare ones first: a session with few cuts has those. */
export const cutKinds = [
  "after an interruption",
  "before a compaction",
  "after a compaction",
  "before a prompt",
  "after a prompt",
  "in mid-turn",
  "after an answer",
] as const;
export type CutKind = (typeof cutKinds)[number];
const rareKinds = 3;

/** The session dies after so many units of its transcript. */
export interface Cut {
  readonly kind: CutKind;
  readonly unit: number;
}

const kindAfter: Partial<Record<SessionEvent["kind"], CutKind>> = {
  interruption: "after an interruption",
  compacting: "before a compaction",
  compaction: "after a compaction",
  prompt: "after a prompt",
  call: "in mid-turn",
  turnEnd: "after an answer",
};

/** Each cut that follows a prompt which the user has not taken back until then. */
function allCuts({ events }: RecordedSession): Cut[] {
  const first = events.findIndex(({ kind }) => kind === "prompt");
  const ends = new Map(events.flatMap((event) => (event.kind === "end" ? [[event.id, event.unit]] : [])));
  return events.slice(first).flatMap((event, index): Cut[] => {
    const kind = kindAfter[event.kind];
    const before: Cut[] =
      event.kind === "prompt" && index > 0 && !event.isQueued
        ? [{ kind: "before a prompt", unit: event.unit - 1 }]
        : [];
    const isOver = event.kind === "call" && ends.get(event.id) === event.unit;
    return kind === undefined || isOver ? before : before.concat({ kind, unit: event.unit });
  });
}

/** At most so many cuts, in the order of the session: one of each kind that it has before a second of any. */
export function chooseCuts(session: RecordedSession, random: Random, most: number): Cut[] {
  const hasPrompt = ({ unit }: Cut): boolean =>
    withoutWithdrawn(session.events.filter((event) => event.unit <= unit)).some(({ kind }) => kind === "prompt");
  const all = shuffled(allCuts(session), random).filter(hasPrompt);
  const kinds = [...cutKinds.slice(0, rareKinds), ...shuffled(cutKinds.slice(rareKinds), random)];
  const rounds = kinds.map((kind) => all.filter((cut) => cut.kind === kind));
  const chosen = new Map<number, Cut>();
  for (let round = 0; round < most; round++) {
    for (const cuts of rounds) {
      const cut = cuts[round];
      if (cut && chosen.size < most && !chosen.has(cut.unit)) chosen.set(cut.unit, cut);
    }
  }
  return [...chosen.values()].toSorted((a, b) => a.unit - b.unit);
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((one) => [random.share(), one] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, one]) => one);
}

const headBytes = 20_000;

/** Paths of transcripts below `folder`, in a drawn order in which each folder and client has its turn. */
export function sessionPaths(folder: string, random: Random, only: SessionClient | null): string[] {
  const groups = new Map<string, string[]>();
  for (const path of globSync("**/*.{jsonl,json}", { cwd: folder }).toSorted()) {
    const client = clientOf(headOf(join(folder, path)));
    if (client === null || (only !== null && client !== only)) continue;
    const key = `${path.split("/").slice(0, -1).join("/")} ${client}`;
    groups.set(key, [...(groups.get(key) ?? []), path]);
  }
  const queues = [...groups.values()].map((paths) => shuffled(paths, random));
  const longest = Math.max(0, ...queues.map(({ length }) => length));
  return Array.from({ length: longest }, (_, turn) => queues.flatMap((queue) => queue[turn] ?? [])).flat();
}

export function textAtPath(folder: string, path: string): string {
  return readFileSync(join(folder, path), "utf8");
}

function headOf(path: string): string {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(headBytes);
    return buffer.toString("utf8", 0, readSync(file, buffer, 0, headBytes, 0));
  } finally {
    closeSync(file);
  }
}

/** Reads the rows of one client's transcripts, one after the other. */
export interface RowReader {
  readonly client: SessionClient;
  readonly id: string;
  readonly cwd: string;
  read(row: JsonObject): readonly (EventBody & { readonly isBeforeRow?: true })[];
}

const headChars = 20_000;

/** By the beginning of the file. Null: none that this bench reads. */
export function clientOf(head: string): SessionClient | null {
  const text = head.slice(0, headChars);
  if (/^\s*\{\s*"info"\s*:/.test(text)) return "opencode";
  if (/"type":\s*"session_meta"/.test(text)) return "codex";
  return /"sessionId"/.test(text) && !/"projectHash"/.test(text) ? "claude-code" : null;
}

const readers = {
  "claude-code": () => new ClaudeReader(),
  codex: () => new CodexReader(),
} satisfies Partial<Record<SessionClient, () => RowReader>>;

/** Null: of no known client, or the user said nothing in it. */
export function readSession(text: string): RecordedSession | null {
  const client = clientOf(text);
  if (client === null) return null;
  const session = client === "opencode" ? readOpenCode(text) : readRows(text, readers[client]());
  if (!session?.events.some(({ kind }) => kind === "prompt")) return null;
  return { ...session, events: withTurnEnds(session.events) };
}

function readRows(text: string, reader: RowReader): RecordedSession {
  const rows = text.split("\n").filter((row) => row.trim() !== "");
  const events = rows.flatMap((row, index): SessionEvent[] => {
    const fields = parseObject(row);
    if (fields === null) return [];
    const at = timeOf(fields);
    return reader
      .read(fields)
      .map((body) => Object.assign({ unit: body.isBeforeRow === true ? index : index + 1, at }, body));
  });
  const { client, id, cwd } = reader;
  const written = (from: number, to: number): string =>
    rows
      .slice(from, to)
      .map((row) => `${row}\n`)
      .join("");
  return { client, id, cwd, events, written };
}

function timeOf({ timestamp }: JsonObject): number | null {
  const at = typeof timestamp === "number" ? timestamp : Date.parse(typeof timestamp === "string" ? timestamp : "");
  return Number.isNaN(at) ? null : at;
}
