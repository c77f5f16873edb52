import { migrations, Store } from "#src/store/store.ts";
import type { Migration } from "#src/shared/migrate.ts";
import { loadDriver } from "#src/store/open-driver.ts";
import type { DriverName } from "#src/store/driver.ts";

/** Arguments of store-child.ts. */
export interface ChildTask {
  readonly path: string;
  readonly name: string;
  readonly driver: DriverName;
  readonly forMs: number;
  readonly rows?: number;
  /** Size of a row's text. */
  readonly bytes?: number;
  readonly everyMs?: number;
  readonly busyMs?: number;
  /** Adds this migration to the known ones. */
  readonly upgrade?: "large";
}

export async function openStoreFor(task: Pick<ChildTask, "path" | "driver" | "upgrade" | "busyMs">): Promise<Store> {
  const { open: driver, fallbackReason } = await loadDriver(task.driver);
  if (fallbackReason) throw new Error(fallbackReason);
  const { path, busyMs = 20_000, upgrade } = task;
  return new Store({ path, driver, now: Date.now, busyMs, migrations: withUpgrade(upgrade) });
}

function withUpgrade(upgrade: ChildTask["upgrade"]): readonly Migration[] {
  if (upgrade === undefined) return migrations;
  const id = migrations.length + 1;
  const statements = [
    "CREATE TABLE large (n INTEGER PRIMARY KEY, text TEXT) STRICT",
    `INSERT INTO large WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 200000)
     SELECT n, hex(randomblob(100)) FROM counter`,
    "CREATE INDEX large_by_text ON large (text)",
    "ALTER TABLE sessions ADD COLUMN extra TEXT",
  ];
  return [...migrations, { id, name: "large", statements }];
}
