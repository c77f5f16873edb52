import { closeSync, copyFileSync, existsSync, ftruncateSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { removeDatabase, type StoreContext } from "./database.ts";
import { withConnection, type Connection } from "./driver.ts";

/** SQLite's default page size in bytes; SHIM uses no other. */
const pageBytes = 4_096;

export function isTruncated(database: string): boolean {
  const { size } = statSync(database);
  const hasLog = (statSync(`${database}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
  return size === 0 || (size % pageBytes !== 0 && !hasLog);
}

export interface SchemaPages {
  readonly byNumber: ReadonlyMap<number, Buffer>;
  readonly pageCount: number;
}

/** Must precede any other connection: closing a descriptor drops SQLite's locks. */
export function schemaPages({ files, driver, busyMs }: StoreContext): SchemaPages | null {
  try {
    const connection = driver({ path: files.database, readOnly: true, busyMs });
    const query = "SELECT pageno AS page FROM dbstat WHERE name = 'sqlite_schema'";
    const numbers = connection.all<{ page: number }>(query).map(({ page }) => page);
    const [whole] = connection.all<{ page_count: number }>("PRAGMA page_count");
    connection.close();
    return { byNumber: readPages(files.database, numbers), pageCount: whole?.page_count ?? 0 };
  } catch {
    return null;
  }
}

function readPages(path: string, numbers: readonly number[]): SchemaPages["byNumber"] {
  const file = openSync(path, "r");
  try {
    return new Map(
      numbers.map((number) => {
        const page = Buffer.alloc(pageBytes);
        readSync(file, page, 0, pageBytes, (number - 1) * pageBytes);
        return [number, page];
      }),
    );
  } finally {
    closeSync(file);
  }
}

/**
 * Opens a damaged database as it is; else a copy with a repaired header, since SQLite refuses a
 * wrong one or one that names too many pages; else with the new database's schema, too.
 * @param isAlike whether the new database's schema describes the damaged one
 * @returns the result of `body`; null where nothing can be opened
 */
export function withSource<T>(
  context: StoreContext,
  damaged: string,
  schema: SchemaPages | null,
  isAlike: (source: Connection) => boolean,
  body: (source: Connection) => T,
): T | null {
  // SQLite deletes the log of an empty database, and the log may hold the newest rows.
  if (statSync(damaged).size > 0) {
    const found = tryOpen(context, damaged, () => true, body);
    if (found) return found.value;
  }
  const copy = `${damaged}.salvage`;
  try {
    return (
      tryCopy(context, damaged, copy, null, () => true, body)?.value ??
      (schema && tryCopy(context, damaged, copy, schema, isAlike, body)?.value) ??
      null
    );
  } finally {
    removeDatabase(copy);
  }
}

type OpenResult<T> = { readonly value: T } | null;

function tryCopy<T>(
  context: StoreContext,
  damaged: string,
  copy: string,
  schema: SchemaPages | null,
  isFit: (source: Connection) => boolean,
  body: (source: Connection) => T,
): OpenResult<T> {
  removeDatabase(copy);
  copyFileSync(damaged, copy);
  if (existsSync(`${damaged}-wal`)) copyFileSync(`${damaged}-wal`, `${copy}-wal`);
  repairHeader(copy, schema);
  return tryOpen(context, copy, isFit, body);
}

function tryOpen<T>(
  { driver, busyMs }: StoreContext,
  path: string,
  isFit: (source: Connection) => boolean,
  body: (source: Connection) => T,
): OpenResult<T> {
  let source: Connection | null = null;
  try {
    source = driver({ path, readOnly: true, busyMs });
    if (!hasTables(source) || !isFit(source)) return null;
  } catch {
    source?.close();
    return null;
  }
  return { value: withConnection(source, body) };
}

function hasTables(source: Connection): boolean {
  return source.all("SELECT name FROM sqlite_schema WHERE type = 'table'").length > 0;
}

/** Offsets and values of the file format (sqlite.org/fileformat2.html, section 1.3). */
const headerLayout = {
  pages: 28,
  changeCounter: 24,
  versionValidFor: 92,
  constants: [
    [0, Buffer.from("SQLite format 3\0")],
    // Page size 4,096; write-ahead log; nothing reserved; payload fractions.
    [16, Buffer.from([0x10, 0x00, 2, 2, 0, 64, 32, 32])],
    // Schema format 4, and no automatic vacuum.
    [44, Buffer.from([0, 0, 0, 4])],
    [52, Buffer.from([0, 0, 0, 0])],
    // UTF-8.
    [56, Buffer.from([0, 0, 0, 1])],
    [64, Buffer.from([0, 0, 0, 0])],
  ],
} as const;

/** Bounds a damaged header's page count; the extended file is mostly sparse. */
const maxPages = 2 ** 20;

/** Extends a truncated file by empty pages: SQLite refuses a table that begins behind the end. */
function repairHeader(path: string, schema: SchemaPages | null): void {
  const whole = Math.max(1, Math.ceil(statSync(path).size / pageBytes));
  const file = openSync(path, "r+");
  try {
    const pageCountBytes = Buffer.alloc(4);
    readSync(file, pageCountBytes, 0, 4, headerLayout.pages);
    const statedPages = pageCountBytes.readUInt32BE();
    const pages = Math.max(whole, schema?.pageCount ?? 0, statedPages <= maxPages ? statedPages : 0);
    ftruncateSync(file, pages * pageBytes);
    for (const [number, page] of schema?.byNumber ?? []) {
      writeSync(file, page, 0, pageBytes, (number - 1) * pageBytes);
    }
    for (const [offset, bytes] of headerLayout.constants) writeSync(file, bytes, 0, bytes.length, offset);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(pages);
    writeSync(file, count, 0, 4, headerLayout.pages);
    // The page count is valid only while these two are equal.
    for (const offset of [headerLayout.changeCounter, headerLayout.versionValidFor])
      writeSync(file, Buffer.from([0, 0, 0, 1]), 0, 4, offset);
  } finally {
    closeSync(file);
  }
}
