const tablesOfQueries = new Map<string, readonly string[]>();

/** Names of the tables that a statement writes, triggers apart. May name more, never fewer. */
export function tablesWrittenBy(query: string): readonly string[] {
  const parsed = tablesOfQueries.get(query);
  if (parsed) return parsed;
  const tables = Array.from(query.matchAll(/\b(?:INTO|UPDATE|DELETE FROM)\s+(\w+)/g), ([, table = ""]) => table);
  tablesOfQueries.set(query, tables);
  return tables;
}

/** Names of the tables that a statement reads. May name more, never fewer. */
export function tablesReadBy(query: string): readonly string[] {
  return Array.from(query.matchAll(/\b(?:FROM|JOIN)\s+(\w+)/g), ([, table = ""]) => table);
}
