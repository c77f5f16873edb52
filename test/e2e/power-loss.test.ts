import { expect, it } from "vitest";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { cutPower, record } from "#harness/store/power-loss/power-loss.ts";

const driver = openBetterSqlite3;
/** `SHIM_POWER_CUTS=2000 SHIM_POWER_SEED=7` for a long run. */
const count = Number(process.env["SHIM_POWER_CUTS"] ?? 40);
const seed = Number(process.env["SHIM_POWER_SEED"] ?? 1);
const timeout = 240_000 + count * 1_000;

for (const name of ["better-sqlite3", "node:sqlite"] as const) {
  it(`a power cut at any moment loses nothing that was acknowledged, by ${name}`, { timeout }, (test) => {
    const recording = record(test, { driver: name, seed, steps: 100, hasProject: false });
    expect(cutPower(recording, { driver, seed, count })).toEqual([]);
  });
}

it("a power cut at any moment leaves whole snapshots @night", { timeout }, (test) => {
  const recording = record(test, { driver: "better-sqlite3", seed, steps: 40, hasProject: true });
  expect(cutPower(recording, { driver, seed, count: Math.ceil(count / 4) })).toEqual([]);
});

it("the cuts would show a store that does not sync its files, or its folders @night", { timeout }, (test) => {
  const recording = record(test, { driver: "better-sqlite3", seed, steps: 60, hasProject: false });
  const folders = new Set(recording.records.flatMap((one) => (one.kind === "open folder" ? [one.inode] : [])));
  for (const isFolder of [true, false]) {
    const faults = cutPower(recording, {
      driver,
      seed,
      count: 15,
      ignores: (one) => one.kind === "sync" && folders.has(one.inode) === isFolder,
    });
    expect(faults.length).toBeGreaterThan(0);
  }
});
