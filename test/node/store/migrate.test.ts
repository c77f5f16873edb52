import { expect, it } from "vitest";
import { migrate, schemaState } from "#src/shared/migrate.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { migrations } from "#src/store/schema.ts";
import { T0, tempStore } from "#harness/store/temp-store.ts";

it("a list of migrations with a gap or another order is refused", () => {
  const { store } = tempStore(openBetterSqlite3);
  const gap = [...migrations, { id: migrations.length + 2, name: "gap", statements: [] }];
  expect(() => store.write((sql) => migrate(sql, T0, gap))).toThrow(
    /gap has id \d+, expected \d+: the list is append-only/,
  );
});

it("what was applied is not applied again, and is recorded with its time", () => {
  const { store } = tempStore(openBetterSqlite3);
  const answer = store.write((sql) => [
    migrate(sql, T0 + 1, migrations),
    schemaState(sql),
    sql.all("SELECT * FROM migrations"),
  ]);
  expect(answer).toMatchObject([
    0,
    { version: migrations.length, minReader: 0 },
    migrations.map(({ id }) => ({ id, appliedAt: T0 })),
  ]);
});

it("every migration can be undone as a whole: none has statements that end a transaction", () => {
  const statements = migrations.flatMap((step) => step.statements);
  expect(statements.filter((statement) => /^\s*(COMMIT|END|BEGIN|ROLLBACK|VACUUM|PRAGMA)/i.test(statement))).toEqual(
    [],
  );
});
