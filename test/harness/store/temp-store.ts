import { mkdtempSync, rmSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import { type Driver, connect, withConnection } from "#src/store/driver.ts";
import { Store, type StoreOptions } from "#src/store/store.ts";
import { migrate, type Migration } from "#src/shared/migrate.ts";
import { createPrivateFile } from "#src/platform/private-files.ts";

export const T0 = 1_700_000_000_000;

/** The files of a new, empty home; it goes with the test. */
export function tempHome(): Paths {
  const folder = mkdtempSync(join(tmpdir(), "shim-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return pathsIn(join(folder, "home"));
}

/** A store on a real file in a new home; nothing is on the disk before its first write. */
export function tempStore(driver: Driver, options: Partial<StoreOptions> = {}): { store: Store; paths: Paths } {
  const paths = tempHome();
  return { store: openStore(driver, paths, options), paths };
}

export function openStore(driver: Driver, paths: Paths, options: Partial<StoreOptions> = {}): Store {
  const store = new Store({ path: paths.database, driver, now: () => T0, ...options });
  onTestFinished(() => store.close());
  return store;
}

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
