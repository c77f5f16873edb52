import type { Migration } from "../../shared/migrate.ts";
import type { StoreOptions } from "./store.ts";
export function setAside(_options: StoreOptions & { migrations: readonly Migration[] }): void {
  throw new Error("pending");
}
