import * as z from "zod";
import type { JournalEntry } from "../contract/journal.ts";
import type { WorkState } from "../contract/work-state.ts";
import { formatIssues } from "../shared/problems.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { RowOf, Selection } from "../shared/table.ts";
import { checkpoints, crashes, journal, recoveries, sessions, signals } from "./session-tables.ts";
import { StoredEntry, StoredState } from "./stored-shapes.ts";

/** Stored in users' files: a change raises `version`. Limits are only against hostile files. */
export const exportFormat = "shim-export";
export const exportVersion = 1;
export const maxLineChars = 16 * 1024 * 1024;

/** Columns that are valid on other machines, so none of its processes. */
export const exported = {
  session: sessions.without("owner", "waiting", "riskMark", "workedAt", "deathAt"),
  journal: journal.without("kind", "body"),
  checkpoint: checkpoints.without("seq", "rawBytes", "body"),
  signal: signals,
  crash: crashes,
  recovery: recoveries.without("seq"),
};

type Exported = typeof exported;
type Line<Type extends keyof Exported> = { readonly type: Type } & RowOf<Exported[Type]>;

export type JournalLine = Line<"journal"> & { readonly body: JournalEntry };
export type CheckpointLine = Line<"checkpoint"> & { readonly state: WorkState };
export type Entry = Line<"session"> | JournalLine | CheckpointLine | Line<"signal"> | Line<"crash"> | Line<"recovery">;

export const Header = z.strictObject({
  type: z.literal("header"),
  format: z.literal(exportFormat),
  version: z.literal(exportVersion),
  exportedAt: z.int().min(0),
});

const id = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w.:@][\w.:@-]*$/, "an id has letters, digits and .:@_- only, and no - at its beginning");
const byName: Readonly<Record<string, z.ZodType>> = {
  id,
  session: id,
  parentId: z.nullable(id),
  hash: z.string().regex(/^[0-9a-f]{64}$/, "a SHA-256 in hex"),
  readings: z.record(z.string(), z.unknown()),
};
const byType: Readonly<Record<string, z.ZodType>> = {
  TEXT: z.string().max(1_000_000),
  INTEGER: z.int().min(0),
  REAL: z.number(),
};

type AnySelection = Pick<Selection<Exported["signal"]["declared"]>, "name"> & {
  readonly names: readonly string[];
  readonly declared: Readonly<
    Record<string, { readonly parts: { readonly type: string; readonly isNullable?: boolean } }>
  >;
};

function lineOf(type: keyof Exported, added: Readonly<Record<string, z.ZodType>> = {}) {
  const { names, declared }: AnySelection = exported[type];
  const fields = names.map((name) => {
    const { type: stored = "TEXT", isNullable } = declared[name]?.parts ?? {};
    const schema = byName[name] ?? byType[stored] ?? z.never();
    return [name, isNullable ? z.nullable(schema) : schema] as const;
  });
  return z.strictObject({ type: z.literal(type), ...Object.fromEntries(fields), ...added });
}

const Lines = z.discriminatedUnion("type", [
  lineOf("session"),
  lineOf("journal", { body: StoredEntry }),
  lineOf("checkpoint", { state: StoredState }),
  lineOf("signal", { score: z.number().min(0).max(1) }),
  lineOf("crash"),
  lineOf("recovery", { detail: z.record(z.string(), z.unknown()) }),
]);

/** Gives the same value: a checkpoint's hash covers the order of its fields. */
export function parseEntry(value: unknown): Result<Entry, string> {
  const parsed = Lines.safeParse(value);
  return parsed.success ? ok(value as Entry) : err(formatIssues(parsed.error));
}
