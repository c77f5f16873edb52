import { statSync } from "node:fs";
import { definitionOf, metrics, type Labels, type MetricName, type Sample } from "../../contract/metrics.ts";
import type { Readings } from "../../contract/readings.ts";
import { schemaState } from "../../shared/migrate.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as notices from "../../store/notices.ts";
import * as totals from "../../store/metric-totals.ts";
import { survey } from "../../store/spool.ts";
import { mayBeContinued } from "../sessions/ending/ending.ts";
import * as life from "../sessions/life/row.ts";
import { activityOf } from "../sessions/activity/activity.ts";
import { findIncomplete } from "../recovery/incomplete/detect.ts";
import { waitingIn } from "../sharing/pending-changes.ts";
import { countByState } from "../learning/machine-trials.ts";
import { assess } from "../sessions/signals/risk.ts";
import { emptyLine, sum, totalCost, usageBy } from "../sessions/usage/ledger.ts";
import { aliveSessions } from "../sessions/life/presence.ts";

/** Dead sessions beyond this number are not counted. */
const maxRecoverable = 1_000;

/** All metrics of this machine, computed from its store: nothing has to keep running. */
export function machineMetrics(runtime: Runtime): Sample[] {
  const { store, paths } = runtime;
  const stored = store.read<Sample[]>(
    (sql) => [
      ...totals.list(sql).flatMap(toSample),
      ...keptToolCalls(sql),
      ...liveSessions(sql, runtime),
      ...rowCounts(sql, runtime),
    ],
    [],
  );
  return [
    ...zeros(),
    ...stored,
    gauge("shim_spool_files", survey(paths.spool).waiting.length),
    gauge("shim_store_bytes", sizeOf(paths.database) + sizeOf(`${paths.database}-wal`)),
  ];
}

function gauge(name: MetricName, value: number, labels: Labels = {}): Sample {
  return { name, labels, value };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Samples of the same labels are added up, so that these show what has no other yet. */
function zeros(): Sample[] {
  return (Object.keys(metrics) as MetricName[])
    .filter((name) => definitionOf(name).source === "machine")
    .map((name) => {
      const labels = Object.entries(definitionOf(name).labels).map(([label, [first = ""]]) => [label, first]);
      return gauge(name, 0, Object.fromEntries(labels) as Labels);
    });
}

/** Totals of a metric that a newer program declared are left out. */
function toSample({ name, labels, bucket, value, sum: bucketSum }: totals.TotalRow): Sample[] {
  if (!isMetric(name)) return [];
  const values = JSON.parse(labels) as string[];
  const named = Object.keys(definitionOf(name).labels).map((label, at) => [label, values[at] ?? ""]);
  const sample = { name, labels: Object.fromEntries(named) as Labels, value };
  if (name === "shim_checkpoints_total") return [sample, gauge("shim_checkpoint_bytes_total", bucketSum)];
  if (bucket === "") return [sample];
  return [{ ...sample, bucket: bucket === totals.aboveAll ? null : Number(bucket), sum: bucketSum }];
}

function isMetric(name: string): name is MetricName {
  return Object.hasOwn(metrics, name);
}

/** The totals hold those of deleted sessions. */
function keptToolCalls(sql: Sql): Sample[] {
  const [row] = sql.all<{ calls: number | null; errors: number | null }>(
    "SELECT sum(toolCalls) AS calls, sum(toolErrors) AS errors FROM sessions",
  );
  return [gauge("shim_tool_calls_total", row?.calls ?? 0), gauge("shim_tool_errors_total", row?.errors ?? 0)];
}

function liveSessions(sql: Sql, runtime: Runtime): Sample[] {
  const { config } = runtime;
  const now = runtime.now();
  const alive = aliveSessions(sql, runtime);
  const risks = alive.map(({ readings }) => assess(readings, config.risk, now));
  const highest = (name: keyof Readings): number =>
    Math.max(0, ...alive.map(({ readings }) => readings[name]?.value ?? 0));
  return [
    ...alive.map((one) => gauge("shim_sessions", 1, { activity: activityOf(sql, one, life.read(sql, one.id), now) })),
    ...risks.map(({ level }) => gauge("shim_sessions_at_risk", 1, { level })),
    ...risks.flatMap(({ reasons }) => reasons.map(({ name }) => gauge("shim_risk_reasons", 1, { reason: name }))),
    gauge("shim_session_risk_ratio", Math.max(0, ...risks.map(({ score }) => score))),
    gauge("shim_context_fill_ratio", highest("contextFill")),
    gauge("shim_usage_limit_ratio", highest("rateLimit")),
    gauge("shim_unsaved_age_seconds", Math.max(0, ...alive.map(({ id }) => unsavedAgeMs(sql, id, now))) / 1_000),
  ];
}

/** Age of the oldest event that no checkpoint has; 0: none. */
function unsavedAgeMs(sql: Sql, sessionId: string, now: number): number {
  const [row] = sql.all<{ at: number | null }>(
    `SELECT at FROM journal WHERE session = ?
       AND seq > coalesce((SELECT journalSeq FROM checkpoints WHERE session = ? ORDER BY seq DESC LIMIT 1), 0)
     ORDER BY seq LIMIT 1`,
    sessionId,
    sessionId,
  );
  return row?.at === undefined || row.at === null ? 0 : Math.max(0, now - row.at);
}

function rowCounts(sql: Sql, runtime: Runtime): Sample[] {
  const now = runtime.now();
  const dead = findIncomplete(sql, runtime, { limit: maxRecoverable, withScripts: true, accepts: mayBeContinued });
  const snapshots = sql.all<{ state: string; n: number }>("SELECT state, count(*) AS n FROM snapshots GROUP BY state");
  const today = usageBy(sql, { by: "day", since: now }, runtime.config.usage).reduce(sum, emptyLine);
  return [
    gauge("shim_sessions_recoverable", dead.length),
    ...snapshots.map(({ state, n }) => gauge("shim_snapshots", n, { state })),
    ...backlog(sql, now),
    ...experimentSamples(sql),
    gauge("shim_cost_today_dollars", totalCost(today)),
    gauge("shim_store_schema_version", schemaState(sql).version),
  ];
}

function experimentSamples(sql: Sql): Sample[] {
  const exposures = sql.all<{ arm: string; n: number }>(
    "SELECT arm, count(*) AS n FROM exposures WHERE experiment IN (SELECT id FROM experiments WHERE state = 'canary') GROUP BY arm",
  );
  return [
    ...[...countByState(sql)].map(([state, n]) => gauge("shim_experiments", n, { state })),
    ...exposures.map(({ arm, n }) => gauge("shim_experiment_sessions", n, { arm })),
  ];
}

function backlog(sql: Sql, now: number): Sample[] {
  const { count, oldestAt } = waitingIn(sql, "sync_changes");
  return [
    gauge("shim_sync_backlog_changes", count),
    gauge("shim_sync_backlog_age_seconds", Math.max(0, now - (oldestAt ?? now)) / 1_000),
    gauge("shim_queued_calls", waitingIn(sql, "team_calls").count),
    gauge("shim_notices", notices.list(sql).length),
  ];
}
