import type { SettingValue } from "../contract/replay.ts";
import { integer, json, real, serial, table, text } from "../shared/table.ts";

/** Settings that differ from the defaults; named by their digest. */
export const settingsSeen = table("settings_seen", {
  hash: text().primary(),
  changed: json<Record<string, SettingValue>>(),
  at: integer(),
});

/** Settings, model and effort of a session from that time on. */
export const sessionSettings = table("session_settings", {
  session: text().primary(),
  at: integer().primary(),
  /** Digest of the settings that differ from the defaults. */
  hash: text(),
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

/** Revision: of two processes that advance one experiment, one wins. */
export const experiments = table("experiments", {
  id: text().primary(),
  key: text(),
  state: text(),
  revision: integer(),
  at: integer(),
  body: json<object>(),
});

/** Values in force beside config.json: of a treated arm, or of all sessions during a rollback. */
export const trialValues = table("trial_values", {
  experiment: text().primary(),
  key: text(),
  value: real(),
  scope: text(),
  share: real(),
  salt: text(),
});

export const recordingTables = [settingsSeen, sessionSettings, sessionDurations, exposures, experiments, trialValues];

export const recordingIndexes: readonly string[] = [
  "CREATE UNIQUE INDEX exposures_units ON exposures (experiment, unit)",
  "CREATE INDEX exposures_by_unit ON exposures (unit)",
];
