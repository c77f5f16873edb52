import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import type { Json } from "../contract/values.ts";
import { ok, type Result, fail } from "../shared/result.ts";
import { notFound, wrongUsage } from "./answer.ts";
import type { Cli } from "./cli.ts";

/** From the smallest up; of two names of one unit, a help shows the last. */
const units: Readonly<Record<string, number>> = {
  s: 1_000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Parses `90s`, `15m`, `3h`, `2d`, `1w`, `1h30m` to milliseconds; null for anything else. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim().toLowerCase();
  if (!/^(?:\d{1,6}(?:\.\d{1,3})?(?:s|min|m|h|d|w)\s*)+$/.test(trimmed)) return null;
  const parts = [...trimmed.matchAll(/(?<![\d.])([\d.]+)(s|min|m|h|d|w)/g)];
  const total = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ""] ?? 0), 0);
  return total > 0 ? Math.round(total) : null;
}

/** Text that {@link parseDuration} reads, in the largest unit that divides the time. */
export function durationText(ms: number): string {
  const [unit, unitMs] = Object.entries(units).findLast(([, size]) => ms % size === 0) ?? ["s", 1_000];
  return `${ms / unitMs}${unit}`;
}

/**
 * Parses a duration (so long ago), a date (its first moment here), or ISO 8601.
 *
 * @param now epoch ms
 * @returns epoch ms; null when it is none of these
 */
export function parseTime(text: string, now: number): number | null {
  const ago = parseDuration(text);
  if (ago !== null) return now - ago;
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text.trim()) ?? [];
  if (year !== undefined) return startOfDay(Number(year), Number(month), Number(day));
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(text.trim())) return null;
  const at = Date.parse(text.trim());
  return Number.isNaN(at) ? null : at;
}

function startOfDay(year: number, month: number, day: number): number | null {
  const first = new Date(year, month - 1, day);
  // 2026-02-31 would become a day in March.
  return first.getMonth() !== month - 1 || first.getDate() !== day ? null : first.getTime();
}

export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError("Give a duration (30s, 15m, 2h, 1d).");
  return ms;
}

/** @param description of its content, for error texts */
export function readTextFile(cli: Cli, name: string, description: string, maxBytes: number): Result<string> {
  const path = resolve(cli.io.cwd, name);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return notFound(`there is no file ${path}.`);
  if (found.isDirectory()) return fail("not_a_file", `${path} is a folder. Name a file with ${description}.`);
  if (found.size > maxBytes) return wrongUsage(`${path} has ${found.size} bytes; at most ${maxBytes}.`);
  return ok(readFileSync(path, "utf8"));
}

const maxPayloadBytes = 1_048_576;

/** @param name of a file; -: the standard input */
export async function readJson(cli: Cli, name: string): Promise<Result<Json>> {
  if (name === "-") return parseJson(await cli.io.readInput(), "stdin");
  const text = readTextFile(cli, name, "JSON", maxPayloadBytes);
  return text.ok ? parseJson(text.value, resolve(cli.io.cwd, name)) : text;
}

export function parseJson(text: string, from: string): Result<Json> {
  if (text.trim() === "") return wrongUsage(`${from} is empty; JSON is needed.`);
  try {
    return ok(JSON.parse(text) as Json);
  } catch (error) {
    return wrongUsage(`${from} is not JSON: ${(error as SyntaxError).message}.`);
  }
}
