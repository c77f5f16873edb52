import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import type { Driver } from "#src/store/driver.ts";
import { Store, type StoreOptions } from "#src/store/store.ts";

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

/** Another process's view of the same home, as far as one process can play it. */
export function openStore(driver: Driver, paths: Paths, options: Partial<StoreOptions> = {}): Store {
  const store = new Store({ path: paths.database, driver, now: () => T0, ...options });
  onTestFinished(() => store.close());
  return store;
}
