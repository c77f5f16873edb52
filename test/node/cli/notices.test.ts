import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import { expect, it } from "vitest";
import * as notices from "#src/store/notices.ts";
import { StoreError } from "#src/store/store-error.ts";
import { aCliHome, aSeededHome, holding, throwing, withStore, type CliHome } from "#harness/machine/cli-home.ts";

/** Nothing of the schema can be read any more. */
function damage(home: CliHome): void {
  home.runtime.store.close();
  const file = openSync(home.paths.database, "r+");
  writeSync(file, Buffer.alloc(16_384, 0xa5), 0, 16_384, 0);
  closeSync(file);
}

it("[CL27] the command that finds a damaged store, and each later one, report it on stderr until it is acknowledged; without a backup they name none", async () => {
  const home = aSeededHome();
  damage(home);
  const ran = await home.shim("sessions");
  expect(ran.code).toBe(0);
  expect(ran.err.match(/^NOTICE: The store was damaged/gm)).toHaveLength(1);
  const lost = "What was on damaged pages and in no good backup is lost.";
  expect(ran.err).toEqual(holding("There was no good backup, so a new, empty store was created.", lost));
  expect(ran.err).not.toContain("after the backup");
  expect(ran.out).not.toContain("NOTICE");
  const later = await home.shim("search parser --json");
  expect(later.json()).toEqual({ sessions: [], checkpoints: [] });
  expect(later.err).toEqual(holding(/^NOTICE: The store was damaged/m, "shim doctor --acknowledge"));
  await home.shim("doctor --acknowledge");
  expect((await home.shim("sessions")).err).toBe("");
});

it("[CL27] commands that show notices in their answer, and those that open no store, do not repeat them", async () => {
  const home = aCliHome();
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", "the store was damaged"));
  for (const command of ["up --once", "doctor", "statusline", "config path"])
    expect([command, (await home.shim(command)).err]).not.toEqual([command, holding("NOTICE")]);
  expect((await home.shim("explain nope")).err).toContain("NOTICE: the store was damaged");
});

it("[CL27] looking for notices makes no store, and adds nothing to an error of the store", async () => {
  const home = aCliHome();
  expect((await home.shim("sessions")).err).toBe("");
  expect(existsSync(home.paths.home)).toBe(false);
  const locked = new StoreError("store_locked", "another process is writing");
  const ran = await home.shimWith(withStore(home, { read: throwing(locked) }), "sessions");
  expect(ran.err).toBe("shim: another process is writing\n");
});
