import type { SettingValue } from "../contract/replay.ts";
import type { MachineTrial } from "../contract/trials.ts";
import { integer, json, real, serial, table, text } from "../shared/table.ts";

/** Settings, model and effort of a session from that time on. */
export const sessionSettings = table("session_settings", {
  session: text().primary(),
  at: integer().primary(),
  /** Settings that differ from the defaults. */
  changed: json<Record<string, SettingValue>>(),
  model: text().nullable(),
  effort: text().nullable(),
});

/** How long SHIM's own work for a session took. */
export const sessionDurations = table("session_durations", {
  session: text().primary(),
  /** Name of the histogram that has the same observations. */
  name: text().primary(),
  count: integer(),
  slow: integer(),
  /** Seconds. */
  sum: real(),
});

/** Arm of a unit: a session, assigned at its start. */
export const exposures = table("exposures", {
  seq: serial(),
  experiment: text(),
  unit: text(),
  arm: text(),
  at: integer(),
});

/** Trials of settings of this machine. */
export const experiments = table("experiments", {
  id: text().primary(),
  state: text(),
  /** Time of its start. */
  at: integer(),
  body: json<MachineTrial>(),
});

export const recordingTables = [sessionSettings, sessionDurations, exposures, experiments];

export const recordingIndexes: readonly string[] = [
  "CREATE UNIQUE INDEX exposures_units ON exposures (experiment, unit)",
  "CREATE INDEX exposures_by_unit ON exposures (unit)",
];
