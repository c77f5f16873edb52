import { Cron } from "croner";

export interface CronTimes {
  readonly cron: string;
  readonly timeZone: string;
}

/**
 * Five fields: at most one time a minute. no-wildcard: an expression without wildcard and step in
 * minute and hour names fixed times, the others intervals; a changed clock treats them differently.
 */
const options = { mode: "5-part", fixedTimeRule: "no-wildcard" } as const;

/**
 * [SD5] Reads no clock: the library reads it only where no time is passed.
 *
 * @param after epoch ms
 * @returns the first time after it, epoch ms; null: none up to the year 9999
 * @throws {Error} when the expression or the time zone is not valid
 */
export function nextTime({ cron, timeZone: timezone }: CronTimes, after: number): number | null {
  const next = new Cron(cron, { ...options, timezone }).nextRun(new Date(after));
  return next === null ? null : next.getTime();
}
