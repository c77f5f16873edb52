import { join } from "node:path";
import { firstEpoch, raisedEpoch } from "../../coordination/kernel/meta.ts";
import { migrations } from "../../coordination/schema.ts";
import type { Migration } from "../../shared/migrate.ts";
import type { Driver } from "../../store/driver.ts";
import { Store } from "../../store/store.ts";

export interface LocalStoreOptions {
  readonly home: string;
  readonly driver: Driver;
  readonly now: () => number;
  readonly busyMs: number;
}

export function localStorePath(home: string): string {
  return join(home, "coordination", "coordination.db");
}

/**
 * A new file starts with an epoch of its time, even if the old one was lost or unreadable, so
 * no fencing token is repeated; so does a repaired one.
 */
export function createLocalStore({ home, driver, now, busyMs }: LocalStoreOptions): Store {
  return new Store({
    path: localStorePath(home),
    driver,
    now,
    busyMs,
    migrations: migrationsWithEpoch(() => firstEpoch(now())),
    minEpoch: () => raisedEpoch(now()),
  });
}

function migrationsWithEpoch(epoch: () => number): readonly Migration[] {
  const [initial, ...later] = migrations;
  if (!initial) throw new Error("the engine has no schema");
  const withEpoch = {
    ...initial,
    /** Evaluated when the file is created: the process may be old by then. */
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

/** Removes the title and what it was doing from the rows of these sessions' chats. */
export function forgetChats(store: Store, sessions: readonly string[]): void {
  if (!store.exists()) return;
  store.write((sql) =>
    sql.run(
      `UPDATE chats SET metadata = json_remove(metadata, '$.title', '$.description'), progress = NULL
       WHERE session IN (SELECT value FROM json_each(?))`,
      JSON.stringify(sessions),
    ),
  );
}
