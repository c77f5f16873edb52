import { join } from "node:path";
import { firstEpoch, raisedEpoch } from "../../coordination/kernel/epochs.ts";
import { migrations } from "../../coordination/schema.ts";
import type { Migration } from "../../shared/migrate.ts";
import type { Driver } from "../../store/driver.ts";
import { Store } from "../../store/store.ts";

export interface LocalStoreOptions {
  /** SHIM's folder. */
  readonly home: string;
  readonly driver: Driver;
  readonly now: () => number;
  readonly busyMs: number;
}

/**
 * `coordination.db`, in a folder of its own with its own backups. [EM5] A new file begins with an epoch of its time: also when the old one was
 * lost whole, or can no longer be read, no fencing token comes a second time; and so does one that is repaired.
 */
export function createLocalStore({ home, driver, now, busyMs }: LocalStoreOptions): Store {
  const path = join(home, "coordination", "coordination.db");
  return new Store({
    path,
    driver,
    now,
    busyMs,
    migrations: migrationsWithEpoch(() => firstEpoch(now())),
    minEpoch: () => raisedEpoch(now()),
  });
}

/** Where the object on the edge begins with 0, this file begins with an epoch of its time. */
function migrationsWithEpoch(epoch: () => number): readonly Migration[] {
  const [initial, ...later] = migrations;
  if (!initial) throw new Error("the engine has no schema");
  const withEpoch = {
    ...initial,
    /** Of the time when the file is made: a process may be old by then. */
    get statements(): readonly string[] {
      return [
        ...initial.statements,
        `UPDATE meta SET value = '${epoch()}' WHERE key = 'epoch'`,
        "INSERT INTO meta (key, value) SELECT 'first_epoch', value FROM meta WHERE key = 'epoch'",
      ];
    },
  };
  return [withEpoch, ...later];
}
