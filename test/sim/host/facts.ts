import type { SqlValue } from "#src/shared/sql.ts";
import type { TaskFact } from "./recording-sql.ts";

/** What the engine wrote, read off its statements: the rules are judged by the order of these, not by what the tables say later. */
export type Fact =
  | { readonly kind: "granted"; readonly lease: LeaseFact; readonly context: GrantContext }
  | { readonly kind: "renewed"; readonly resource: string; readonly expiresAt: number }
  | { readonly kind: "frozen"; readonly resource: string; readonly expiresAt: number }
  | { readonly kind: "freed"; readonly resource: string }
  | { readonly kind: "queued"; readonly place: PlaceFact }
  | { readonly kind: "unqueued"; readonly seq: number }
  | { readonly kind: "unqueued-all"; readonly chat: string }
  | { readonly kind: "delayed"; readonly resource: string; readonly until: number }
  | { readonly kind: "undelayed"; readonly resource: string }
  | { readonly kind: "changed"; readonly change: ChangeFact }
  | { readonly kind: "compacted"; readonly before: number }
  | { readonly kind: "offline"; readonly chat: string; readonly reason: string }
  | { readonly kind: "forgotten"; readonly chat: string }
  | { readonly kind: "task"; readonly before: TaskFact | null; readonly after: TaskFact | null };

export interface LeaseFact {
  readonly resource: string;
  readonly holder: string;
  readonly incarnation: number;
  readonly token: number;
  readonly requestId: string;
  readonly isBound: boolean;
  readonly expiresAt: number;
  readonly lockDelayMs: number;
}

export interface PlaceFact {
  readonly seq: number;
  readonly resource: string;
  readonly chat: string;
  readonly incarnation: number;
  readonly until: number;
}

export interface ChangeFact {
  readonly revision: number;
  readonly group: number;
  readonly key: string;
  readonly op: string;
  readonly value: string | null;
  readonly at: number;
}

/** How things stood at the moment of a grant. */
export interface GrantContext {
  readonly isHolderGone: boolean;
  /** Numbers of the places in line whose chats live. */
  readonly living: readonly number[];
}

type Values = readonly SqlValue[];
type Row = Readonly<Record<string, SqlValue>>;
export type Reader = (values: Values, rowid: number, look: Look) => Fact | Fact[];
export type Look = (holder: string, incarnation: number) => GrantContext;

const text = (value: SqlValue | undefined): string => String(value);
const number = (value: SqlValue | undefined): number => Number(value);

/** Those of a list, which a statement gets as JSON. */
const namesIn = (list: SqlValue | undefined): string[] => JSON.parse(text(list)) as string[];

/** Statements that are understood, each by its beginning. */
const readers: readonly (readonly [start: string, reader: (row: Row, values: Values, rowid: number) => Fact])[] = [
  [
    "UPDATE leases SET ttlMs = ?, expiresAt = ? WHERE resource IN",
    (_, [, at, resources]) =>
      namesIn(resources).map((resource) => ({ kind: "renewed", resource, expiresAt: number(at) })),
  ],
  [
    "UPDATE leases SET isBound = 0, expiresAt = ? WHERE resource = ?",
    (_, [at, resource]) => ({ kind: "frozen", resource: text(resource), expiresAt: number(at) }),
  ],
  [
    "DELETE FROM leases WHERE resource IN",
    (_, [resources]) => namesIn(resources).map((resource) => ({ kind: "freed", resource })),
  ],
  ["INSERT INTO waiters", (row, _, seq) => ({ kind: "queued", place: factOf({ ...row, seq }) as PlaceFact })],
  ["DELETE FROM waiters WHERE seq = ?", (_, [seq]) => ({ kind: "unqueued", seq: number(seq) })],
  ["DELETE FROM waiters WHERE chat = ?", (_, [chat]) => ({ kind: "unqueued-all", chat: text(chat) })],
  [
    "INSERT INTO lock_delays",
    (row) => ({ kind: "delayed", resource: text(row["resource"]), until: number(row["until"]) }),
  ],
  ["DELETE FROM lock_delays WHERE resource = ?", (_, [resource]) => ({ kind: "undelayed", resource: text(resource) })],
  ["DELETE FROM changes WHERE revision < ?", (_, [before]) => ({ kind: "compacted", before: number(before) })],
  ["INSERT INTO changes", (row) => ({ kind: "changed", change: factOf(row) as ChangeFact })],
  [
    "UPDATE chats SET status = 'offline', reason = ?",
    (_, values) => ({ kind: "offline", reason: text(values[0]), chat: text(values.at(-1)) }),
  ],
  ["DELETE FROM chats WHERE chat = ?", (_, [chat]) => ({ kind: "forgotten", chat: text(chat) })],
];

/** Writes to these must all be understood: else the rules would be judged by half of what happens. */
const watched = /^(INSERT INTO|UPDATE|DELETE FROM) (leases|waiters|lock_delays)\b/;

/** How a statement is read; null: it is of no concern. */
export function readerOf(query: string): Reader | null {
  const columns = (/^INSERT INTO \w+ \(([^)]*)\)/.exec(query)?.[1] ?? "").split(",").map((name) => name.trim());
  if (query.startsWith("INSERT INTO leases")) {
    return (values, _, look) => {
      const lease = factOf(rowOf(columns, values)) as LeaseFact;
      return { kind: "granted", lease, context: look(lease.holder, lease.incarnation) };
    };
  }
  const found = readers.find(([start]) => query.startsWith(start));
  if (found) return (values, rowid) => found[1](rowOf(columns, values), values, rowid);
  if (!watched.test(query)) return null;
  return () => {
    throw new Error(`the simulation does not understand the statement ${query}`);
  };
}

export function rowOf(names: readonly string[], values: Values): Row {
  return Object.fromEntries(names.map((name, place) => [name, values[place] ?? null] as const));
}

/** A row as a fact: flags as booleans. */
export function factOf(row: Row): object {
  const fact: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(row))
    fact[name === "grp" ? "group" : name] = /^is[A-Z]/.test(name) ? value === 1 : value;
  return fact;
}
