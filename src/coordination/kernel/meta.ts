import { defaultSettings, type Settings } from "../../contract/workspaces.ts";
import type { Sql } from "../../shared/sql.ts";
import { numbersPerEpoch, type Tx, type WorkspaceFacts } from "./tx.ts";
import { meta } from "./kernel-tables.ts";

const values = meta.pick("value");

export function read(sql: Sql, key: string): string | null {
  return values.find(sql, { key })?.value ?? null;
}

export function write(sql: Sql, key: string, value: string): void {
  meta.put(sql, { key, value });
}

export function remove(sql: Sql, key: string): void {
  meta.delete(sql, { key });
}

export const quietKey = "quiet_until";
export const frozenKey = "frozen_until";
/** Time of a freeze that only the end of an import ends. */
export const untilImported = Number.MAX_SAFE_INTEGER;

export function isFrozen({ frozenUntil, now }: Pick<Tx, "frozenUntil" | "now">): boolean {
  return frozenUntil > now;
}

const factsQuery = `SELECT ${["settings", "epoch", quietKey, "first_epoch", frozenKey]
  .map((key) => `(SELECT value FROM meta WHERE key = '${key}') AS ${key}`)
  .join(", ")}`;

export function readFacts(sql: Sql): WorkspaceFacts {
  const [row] =
    sql.all<Partial<Record<"settings" | "epoch" | "quiet_until" | "first_epoch" | "frozen_until", string | null>>>(
      factsQuery,
    );
  const changed = row?.settings ? (JSON.parse(row.settings) as Partial<Settings>) : null;
  return {
    settings: changed === null ? defaultSettings : { ...defaultSettings, ...changed },
    epoch: Number(row?.epoch),
    quietUntil: Number(row?.quiet_until),
    firstEpoch: Number(row?.first_epoch ?? 0),
    frozenUntil: Number(row?.frozen_until ?? 0),
  };
}

export const quietDueAt = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${quietKey}'`;

/** Below every number of the epoch, and above those that a restore lost. */
export function epochStart({ epoch }: Pick<Tx, "epoch">): number {
  return epoch * numbersPerEpoch;
}

/** People type numbers: a file that began with a later epoch still counts from 1. */
export function numberFloor({ epoch, firstEpoch }: Pick<Tx, "epoch" | "firstEpoch">): number {
  return (epoch - firstEpoch) * numbersPerEpoch;
}

export function countLiveChats(sql: Sql): number {
  return Number(read(sql, "live_chats"));
}

/**
 * Two epochs per minute since 2026, until 2057: a new file takes the first, a raise the second. Two
 * restores of one state thus never start the same epoch.
 */
const firstDay = 1_767_225_600_000;
const minuteMs = 60_000;
const epochCount = 2 ** 25;

/** 0 where the clock is beyond the last epoch. */
export function firstEpoch(now: number): number {
  const epoch = 2 * Math.max(1, Math.floor((now - firstDay) / minuteMs));
  return epoch < epochCount ? epoch : 0;
}

export function raisedEpoch(now: number): number {
  return firstEpoch(now) + 1;
}
