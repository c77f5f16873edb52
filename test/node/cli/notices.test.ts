import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import { expect, it } from "vitest";
import * as notices from "#src/store/notices.ts";
import { StoreError } from "#src/store/store-error.ts";
import { aCliHome, aSeededHome, type CliHome } from "#harness/machine/cli-home.ts";

/** Nothing of the schema can be read any more. */
function damage(home: CliHome): void {
  home.runtime.store.close();
  const file = openSync(home.paths.database, "r+");
  writeSync(file, Buffer.alloc(16_384, 0xa5), 0, 16_384, 0);
  closeSync(file);
}

it("[CL27] the command that meets a damaged store tells it on stderr, and so does every later one until it is acknowledged", async () => {
  const home = aSeededHome();
  damage(home);
  const ran = await home.shim("sessions");
  expect(ran.code).toBe(0);
  expect(ran.err.match(/^NOTICE: The store was damaged/gm)).toHaveLength(1);
  expect(ran.out).not.toContain("NOTICE");
  const later = await home.shim("search parser --json");
  expect(later.json()).toEqual({ sessions: [], checkpoints: [] });
  expect(later.err).toMatch(/^NOTICE: The store was damaged/m);
  expect(later.err).toContain("shim doctor --acknowledge");
  await home.shim("doctor --acknowledge");
  expect((await home.shim("sessions")).err).toBe("");
});

it("[CL27] without a backup the notice speaks of none", async () => {
  const home = aSeededHome();
  damage(home);
  const { err } = await home.shim("sessions");
  expect(err).toContain("There was no good backup, so a new, empty store was created.");
  expect(err).toContain("What was on damaged pages and in no good backup is lost.");
  expect(err).not.toContain("after the backup");
});

it("[CL27] commands that show notices in their answer, and those that open no store, do not repeat them", async () => {
  const home = aCliHome();
  home.runtime.store.write((sql) => notices.add(sql, home.now, "x", "the store was damaged"));
  for (const argv of [["up", "--once"], ["doctor"], ["statusline"], ["config", "path"]])
    expect([argv, (await home.shim(...argv)).err.includes("NOTICE")]).toEqual([argv, false]);
  expect((await home.shim("explain nope")).err).toContain("NOTICE: the store was damaged");
});

it("[CL27] looking for notices makes no store, and adds nothing to an error of the store", async () => {
  const home = aCliHome();
  expect((await home.shim("sessions")).err).toBe("");
  expect(existsSync(home.paths.home)).toBe(false);
  const locked = new StoreError("store_locked", "another process is writing");
  const store = Object.create(home.runtime.store, {
    read: {
      value: () => {
        throw locked;
      },
    },
    close: { value: () => undefined },
  }) as typeof home.runtime.store;
  const ran = await home.shimWith(
    {
      makeRuntime: async () => ({
        runtime: { ...home.runtime, store },
        driver: "node:sqlite",
        fallbackReason: null,
      }),
    },
    "sessions",
  );
  expect(ran.err).toBe("shim: another process is writing\n");
});
