/** ISO 8601 weeks in UTC: from Monday, and of the year that has their Thursday. */
export interface Week {
  /** Such as 2026-W47. */
  readonly name: string;
  /** Epoch ms, inclusive. */
  readonly from: number;
  /** Epoch ms, exclusive. */
  readonly until: number;
}

const dayMs = 86_400_000;
const weekMs = 7 * dayMs;
/** The epoch began on a Thursday. */
const firstMonday = -3 * dayMs;

export function weekOf(at: number): Week {
  const from = Math.floor((at - firstMonday) / weekMs) * weekMs + firstMonday;
  const year = new Date(from + 3 * dayMs).getUTCFullYear();
  const number = Math.floor((from + 3 * dayMs - Date.UTC(year, 0, 1)) / weekMs) + 1;
  return { name: `${year}-W${String(number).padStart(2, "0")}`, from, until: from + weekMs };
}

/** Returns null where no week has that name. */
export function findWeek(name: string): Week | null {
  const [, year, number] = /^(\d{4})-W(\d{2})$/.exec(name) ?? [];
  if (year === undefined || number === undefined) return null;
  // The fourth of January is always in the first week.
  const week = weekOf(Date.UTC(Number(year), 0, 4) + (Number(number) - 1) * weekMs);
  return week.name === name ? week : null;
}
