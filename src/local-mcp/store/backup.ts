import type { Connection } from "./driver.ts";
export function backUpBeforeMigration(_path: string, _connection: Connection): void {}
