import { expect, it } from "vitest";
import { backUp, isBackupDue } from "#src/store/backup.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { addSession } from "#harness/store/store-rows.ts";
import { T0, tempStore } from "#harness/store/temp-store.ts";

const DAY = 86_400_000;

it("[ST12] the first backup is due minutes after the first checkpoint, the next ones each after twice as long", async () => {
  const { store, paths } = tempStore(openNodeSqlite);
  store.write((sql) => addSession(sql));
  await backUp(store, T0 - 1, 9);
  const minute = 60_000;
  const due = (minutes: number): boolean => isBackupDue(paths.backups, T0 + minutes * minute, T0);
  expect([due(1), due(5)]).toEqual([false, true]);
  for (const minutes of [5, 10, 20, 40]) {
    expect([minutes, due(minutes - 1), due(minutes)]).toEqual([minutes, false, true]);
    await backUp(store, T0 + minutes * minute, 9);
  }
  await backUp(store, T0 + 3 * DAY, 9);
  expect([due(3 * 1_440 + 1_439), due(4 * 1_440)]).toEqual([false, true]);
});
