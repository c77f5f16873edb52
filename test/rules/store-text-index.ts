import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Sql } from "#src/shared/sql.ts";
import type { Driver } from "#src/store/driver.ts";
import { migrations } from "#src/store/schema.ts";
import { hasPending, rebuild } from "#src/store/text-index.ts";
import { addCheckpoint, addSession, searched } from "#harness/store/store-rows.ts";
import { openStore, tempStore } from "#harness/store/temp-store.ts";

/** The index against the rows: FTS5's own comparison (sqlite.org/fts5.html 6.4), which fails as damage. */
function compare(sql: Sql): void {
  sql.run("INSERT INTO checkpoints_text (checkpoints_text, rank) VALUES ('integrity-check', 1)");
}

/** Rules of the search index that hold with either driver. */
export function textIndexRules(driver: Driver): void {
  it("[ST23] whatever is saved, deleted and searched in whatever order, the index finds what is there and nothing else", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("save" as const), at: fc.nat(9) }),
      fc.record({ kind: fc.constant("drop" as const), at: fc.nat(9) }),
      fc.constant({ kind: "search" as const, at: 0 }),
      fc.constant({ kind: "rebuild" as const, at: 0 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { store } = tempStore(driver);
        store.write((sql) => addSession(sql));
        const there = new Set<number>();
        const run = (sql: Sql, { kind, at }: (typeof steps)[number]): void => {
          if (kind === "save" && !there.has(at)) {
            addCheckpoint(sql, { id: `cp${at}`, summary: `word${at} common` });
            there.add(at);
          }
          // The highest number comes again after its row is gone.
          if (kind === "drop" && there.delete(at)) sql.run("DELETE FROM checkpoints WHERE id = ?", `cp${at}`);
          if (kind === "search") expect(searched(sql, "common")).toHaveLength(there.size);
          if (kind === "rebuild") rebuild(sql);
        };
        for (const one of steps) store.write((sql) => run(sql, one));
        for (let at = 0; at < 10; at++) {
          expect(store.write((sql) => searched(sql, `word${at}`))).toHaveLength(there.has(at) ? 1 : 0);
        }
        store.write(compare);
        expect(store.read(hasPending, true)).toBe(false);
        store.close();
      }),
      { numRuns: 60 },
    );
  });

  it("[ST23] a store of the schema before keeps its index, and an older program beside a newer one may rebuild it", () => {
    const { store, paths } = tempStore(driver, { migrations: migrations.slice(0, 1) });
    store.write((sql) => {
      addSession(sql);
      addCheckpoint(sql, { id: "before", summary: "word before" });
    });
    store.close();
    const newer = openStore(driver, paths);
    newer.write((sql) => addCheckpoint(sql, { id: "after", summary: "word after" }));
    newer.write((sql) => sql.run("INSERT INTO checkpoints_text (checkpoints_text) VALUES ('rebuild')"));
    expect(newer.write((sql) => searched(sql, "word"))).toHaveLength(2);
    newer.write((sql) => sql.run("DELETE FROM checkpoints WHERE id = 'after'"));
    newer.write(compare);
    expect(newer.write((sql) => searched(sql, "word"))).toHaveLength(1);
  });
}
