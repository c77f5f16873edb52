import { compareSettings } from "../../../experiments/queue/compare-settings.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { inMemory, type Connection } from "../../../store/driver.ts";
import type { Compare } from "./workspace-steps.ts";

/** With the shipped engine, in databases in memory. */
export function compareQueue({ store }: Runtime): Compare {
  return (record, from, to, seed) => {
    const opened: Connection[] = [];
    const openSql = (): Connection => {
      const sql = store.context.driver({ path: inMemory, readOnly: false, busyMs: 0 });
      opened.push(sql);
      return sql;
    };
    try {
      return compareSettings(openSql, record, from, to, { seed });
    } finally {
      for (const sql of opened) sql.close();
    }
  };
}
