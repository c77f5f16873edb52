import type { SettingsComparison } from "../../contract/machine/replay.ts";
import type { Settings } from "../../contract/workspaces.ts";
import { compareSettings } from "../../experiments/queue/compare-settings.ts";
import type { QueueRecord } from "../../experiments/queue/queue-record.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { inMemory, type Connection } from "../../store/driver.ts";

/** A repeat has the same result. */
export type Compare = (record: QueueRecord, from: Settings, to: Settings) => SettingsComparison;

/** With the shipped engine, in databases in memory. */
export function compareQueue({ store }: Runtime): Compare {
  return (record, from, to) => {
    const opened: Connection[] = [];
    const openSql = (): Connection => {
      const sql = store.context.driver({ path: inMemory, readOnly: false, busyMs: 0 });
      opened.push(sql);
      return sql;
    };
    try {
      return compareSettings(openSql, record, from, to);
    } finally {
      for (const sql of opened) sql.close();
    }
  };
}
