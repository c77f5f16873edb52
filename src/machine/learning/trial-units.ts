import { canary, type CanaryUnit, type Measured } from "../../learning/experiments/trials.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { exposures, crashes } from "../../store/session-tables.ts";
import { listSessionDurations } from "../../runtime/durations.ts";
import * as sessions from "../sessions/sessions.ts";

/** Sessions that a trial counts, with their outcomes. */

/** A session that has not ended by then counts as it is. */
const outcomeAfterMs = 86_400_000;
/** A share of fewer calls says little. */
const minCalls = 5;

const exposed = exposures.pick("unit", "arm", "at");

type Exposed = RowOf<typeof exposed>;

/**
 * Units in the order of assignment, up to the first with an open outcome: an order by outcome would
 * favour one arm.
 */
export function canaryUnits(sql: Sql, now: number, trial: string): CanaryUnit[] {
  const rest = "WHERE experiment = ? ORDER BY seq LIMIT ?";
  return measureUntilOpen(sql, now, exposed.select(sql, rest, trial, canary.sessions));
}

function measureUntilOpen(sql: Sql, now: number, all: readonly Exposed[]): CanaryUnit[] {
  const units: CanaryUnit[] = [];
  for (const { unit, arm, at } of all) {
    const session = sessions.get(sql, unit);
    const isOver = !session || session.ending?.isSettled === true || now - at >= outcomeAfterMs;
    if (!isOver) return units;
    const measured = session ? measure(sql, session) : {};
    units.push({ isTreated: arm === "treatment", measured });
  }
  return units;
}

function measure(sql: Sql, session: sessions.Session): Measured {
  const { id, toolCalls, toolErrors } = session;
  const durations = new Map(listSessionDurations(sql, id).map((one) => [one.name, one]));
  const slowShare = (name: string): number | undefined => {
    const found = durations.get(name);
    return found && found.count > 0 ? found.slow / found.count : undefined;
  };
  const figures: { [Name in keyof Measured]: Measured[Name] | undefined } = {
    unsavedDeath: unsavedDeath(sql, session),
    restoreScore: numberOf(sql, restoreScore, id),
    slowSaves: slowShare("shim_save_duration_seconds"),
    slowRecoveries: slowShare("shim_recovery_duration_seconds"),
    toolErrors: toolCalls >= minCalls ? toolErrors / toolCalls : undefined,
    dollars: numberOf(sql, dollars, id),
  };
  return omitUndefined(figures);
}

function unsavedDeath(sql: Sql, { id, ending }: sessions.Session): number {
  const at = ending?.signs.gone?.at;
  const crash = at === undefined ? null : crashes.find(sql, { session: id, at });
  return (crash?.unsavedToolCalls ?? 0) > 0 ? 1 : 0;
}

const restoreScore =
  "SELECT score / 100.0 AS n FROM recoveries WHERE session = ? AND score IS NOT NULL ORDER BY seq LIMIT 1";
const dollars = "SELECT sum(costMicros) / 1e6 AS n FROM usage_costs WHERE session = ?";

function numberOf(sql: Sql, query: string, session: string): number | undefined {
  return sql.all<{ n: number | null }>(query, session)[0]?.n ?? undefined;
}
