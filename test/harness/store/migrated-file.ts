import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate, type Migration } from "#src/shared/migrate.ts";
import { connect, withConnection, type Driver } from "#src/store/driver.ts";
import { createPrivateFile } from "#src/platform/private-files.ts";
import { T0 } from "./temp-store.ts";

const made = new Map<readonly Migration[], Buffer>();

/** Writes an empty database with the whole schema. It is migrated once per process: that takes longer than most rules. */
export function writeMigratedFile(path: string, driver: Driver, migrations: readonly Migration[]): void {
  createPrivateFile(path);
  let bytes = made.get(migrations);
  if (!bytes) made.set(migrations, (bytes = migratedBytes(driver, migrations)));
  writeFileSync(path, bytes);
}

function migratedBytes(driver: Driver, migrations: readonly Migration[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "shim-migrated-"));
  try {
    const path = join(folder, "migrated.db");
    createPrivateFile(path);
    withConnection(connect(driver, path, 0), (connection) => migrate(connection, T0, migrations));
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
