import { migrations } from "../coordination/schema.ts";
import { migrate, schemaState } from "../shared/migrate.ts";
import type { Sql } from "../shared/sql.ts";

/**
 * In one transaction.
 * @param now epoch ms
 * @throws if the schema needs a newer program
 */
export function migrateWorkspace(storage: Pick<DurableObjectStorage, "transactionSync">, sql: Sql, now: number): void {
  storage.transactionSync(() => {
    const { minReader } = schemaState(sql);
    if (minReader > migrations.length) {
      throw new Error(`the workspace was written by a newer program (it needs schema ${minReader}); deploy that one`);
    }
    migrate(sql, now, migrations);
  });
}
