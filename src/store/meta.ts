import type { Sql } from "../shared/sql.ts";
import { meta } from "./machine-tables.ts";

const values = meta.pick("value");

export function read(sql: Sql, key: string): string | null {
  return values.find(sql, { key })?.value ?? null;
}

/** Values whose keys are `<name>:...`, in the order of their keys. */
export function listOf(sql: Sql, name: string): { readonly key: string; readonly value: string }[] {
  // ";" sorts behind ":".
  return meta.select(sql, "WHERE key >= ? AND key < ? ORDER BY key", `${name}:`, `${name};`);
}

/** Writes no page where the value is there already. */
export function write(sql: Sql, key: string, value: string): void {
  meta.insert(
    sql,
    { key, value },
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
  );
}

/** Returns whether there was a value. */
export function remove(sql: Sql, key: string): boolean {
  return meta.delete(sql, { key }) > 0;
}

/** Counts replacements by an older state, from 1: numbers from before may repeat after one. */
export function epochOf(sql: Sql): number {
  return Number(read(sql, "epoch") ?? 1);
}

export function setEpoch(sql: Sql, epoch: number): void {
  write(sql, "epoch", String(epoch));
}

/** Number of forgets: a copy with a lower number may still hold forgotten rows. */
export function readForgetCount(sql: Sql): number {
  return Number(read(sql, "forgets") ?? 0);
}

export function incrementForgetCount(sql: Sql): void {
  write(sql, "forgets", String(readForgetCount(sql) + 1));
}
