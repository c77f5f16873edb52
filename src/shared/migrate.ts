import type { Sql } from "./sql.ts";

/** One step of a schema. Append only: a released step never changes. */
export interface Migration {
  readonly id: number;
  readonly name: string;
  readonly statements: readonly string[];
  /** Columns, as SQL declares them, of tables that lack them: they are added first. */
  readonly columns?: readonly { readonly table: string; readonly column: string }[];
  /** Oldest program, as its newest migration id, that can work on the result. Absent: any. */
  readonly minReader?: number;
}

export interface SchemaState {
  readonly version: number;
  readonly minReader: number;
}

/** Programs older than `minReader` must not touch the file. */
export function schemaState(sql: Sql): SchemaState {
  const [table] = sql.all<{ n: number }>("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'migrations'");
  return table?.n ? migratedState(sql) : { version: 0, minReader: 0 };
}

export function migratedState(sql: Sql): SchemaState {
  const [row] = sql.all<SchemaState>(
    "SELECT coalesce(max(id), 0) AS version, coalesce(max(minReader), 0) AS minReader FROM migrations",
  );
  return row ?? { version: 0, minReader: 0 };
}

/**
 * Call it in one write transaction, so that a crash leaves the old schema.
 * @returns number of applied steps
 */
export function migrate(sql: Sql, now: number, migrations: readonly Migration[]): number {
  checkAppendOnly(migrations);
  const { version } = schemaState(sql);
  if (version === 0) {
    sql.run(
      "CREATE TABLE IF NOT EXISTS migrations (id INTEGER PRIMARY KEY, name TEXT NOT NULL, minReader INTEGER NOT NULL, appliedAt INTEGER NOT NULL) STRICT",
    );
  }
  const missing = migrations.filter((step) => step.id > version);
  for (const step of missing) {
    for (const { table, column } of step.columns ?? [])
      if (!hasColumn(sql, table, column)) sql.run(`ALTER TABLE ${table} ADD COLUMN ${column}`);
    for (const statement of step.statements) sql.run(statement);
    sql.run(
      "INSERT INTO migrations (id, name, minReader, appliedAt) VALUES (?, ?, ?, ?)",
      step.id,
      step.name,
      step.minReader ?? 0,
      now,
    );
  }
  return missing.length;
}

function hasColumn(sql: Sql, table: string, column: string): boolean {
  const [name = ""] = column.split(" ");
  return sql.all("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", table, name).length > 0;
}

function checkAppendOnly(migrations: readonly Migration[]): void {
  migrations.forEach((step, index) => {
    if (step.id !== index + 1)
      throw new Error(`migration ${step.name} has id ${step.id}, expected ${index + 1}: the list is append-only`);
  });
}
