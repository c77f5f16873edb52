import { sum } from "simple-statistics";
import { stepsInWeek, type Week, type WeeklyFacts } from "../../experiments/weekly-report.ts";
import type { Sql } from "../../shared/sql.ts";
import { resolve, type Resolution } from "../recovery/resolution.ts";
import * as recoveries from "../sessions/recoveries.ts";
import { list } from "./machine-trials.ts";

/** [EX83] Rows of the week that are still stored. */
export function weeklyFacts(sql: Sql, week: Week): WeeklyFacts {
  return {
    week,
    sessions: count(sql, "SELECT count(*) AS n FROM sessions WHERE lastSeenAt >= ? AND startedAt < ?", week),
    deaths: sql.all(
      `SELECT cause, count(*) AS count, coalesce(sum(unsavedToolCalls), 0) AS unsavedCalls FROM crashes
       WHERE at >= ? AND at < ? GROUP BY cause ORDER BY 2 DESC, cause`,
      week.from,
      week.until,
    ),
    ...recoveriesOf(sql, week),
    checkpoints: one(
      sql,
      "SELECT count(*) AS count, coalesce(sum(rawBytes), 0) AS bytes FROM checkpoints WHERE at >= ? AND at < ?",
      week,
      { count: 0, bytes: 0 },
    ),
    costs: costsOf(sql, week),
    steps: list(sql)
      .flatMap((trial) => stepsInWeek(week, trial))
      .toSorted((a, b) => a.at - b.at),
  };
}

function one<Row extends object>(sql: Sql, query: string, { from, until }: Week, none: Row): Row {
  return sql.all<Row>(query, from, until)[0] ?? none;
}

function count(sql: Sql, query: string, week: Week): number {
  return one<{ n: number }>(sql, query, week, { n: 0 }).n;
}

function recoveriesOf(sql: Sql, { from, until }: Week): Pick<WeeklyFacts, "died" | "recoveries" | "meanScore"> {
  const known = resolve(recoveries.listEvents(sql, { since: from, until }));
  const seen = known.filter(({ resolution, offeredTo }) => resolution !== "open" || offeredTo.length > 0);
  const countOf = (resolution: Resolution): number => seen.filter((one) => one.resolution === resolution).length;
  const scores = sql
    .all<{ score: number }>(
      "SELECT score FROM recoveries WHERE at >= ? AND at < ? AND action = 'offered' AND score IS NOT NULL",
      from,
      until,
    )
    .map(({ score }) => score);
  const died = sql.all<{ session: string }>(
    "SELECT DISTINCT session FROM crashes WHERE at >= ? AND at < ?",
    from,
    until,
  );
  const continuedBy = new Map(seen.map((one) => [one.session, one.continuedBy]));
  return {
    died: {
      chats: died.length,
      continued: died.filter(({ session }) => (continuedBy.get(session) ?? null) !== null).length,
    },
    recoveries: {
      chats: new Set(seen.flatMap(({ offeredTo }) => offeredTo)).size,
      continued: countOf("continued"),
      dismissed: countOf("dismissed"),
      open: countOf("open"),
    },
    meanScore: scores.length === 0 ? null : sum(scores) / scores.length,
  };
}

function costsOf(sql: Sql, { from, until }: Week): WeeklyFacts["costs"] {
  const [first, end] = [from, until].map((at) => new Date(at).toISOString().slice(0, 10));
  const costs = sql.all<{ model: string; micros: number }>(
    `SELECT model, sum(costMicros) AS micros FROM usage_costs WHERE day >= ? AND day < ?
     GROUP BY model HAVING sum(costMicros) > 0 ORDER BY 2 DESC, model`,
    first ?? "",
    end ?? "",
  );
  return costs.map(({ model, micros }) => ({ model, dollars: micros / 1e6 }));
}
