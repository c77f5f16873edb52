/** Pure: times as a person writes them. */

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
