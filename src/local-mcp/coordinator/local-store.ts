import { join } from "node:path";
import { migrations } from "../../coordination/schema.ts";
import type { Migration } from "../../shared/migrate.ts";
import type { Driver } from "../store/driver.ts";
import { Store } from "../store/store.ts";

/** 2026-01-01. */
const firstDay = 1_767_225_600_000;
const minuteMs = 60_000;

export interface LocalStoreOptions {
  /** SHIM's folder. */
  readonly home: string;
  readonly driver: Driver;
  readonly now: () => number;
  readonly busyMs: number;
}

/**
 * `coordination.db`, in a folder of its own with its own backups. [EM5] A new file begins with an epoch of its time: also when the old one was
 * lost whole, or can no longer be read, no fencing token comes a second time.
 */
export function localStore({ home, driver, now, busyMs }: LocalStoreOptions): Store {
  // Two for each minute, as a repair takes the next one; epochs are below 2^25, so they last for thirty years.
  const firstEpoch = 2 * Math.max(1, Math.floor((now() - firstDay) / minuteMs));
  const path = join(home, "coordination", "coordination.db");
  return new Store({ path, driver, now, busyMs, migrations: begunAt(firstEpoch) });
}

/** Where the object on the edge begins with 0, this file begins with an epoch of its time. */
function begunAt(epoch: number): readonly Migration[] {
  const [first, ...later] = migrations;
  if (!first) throw new Error("the engine has no schema");
  const begin = `UPDATE meta SET value = '${epoch}' WHERE key = 'epoch'`;
  return [{ ...first, statements: [...first.statements, begin] }, ...later];
}
