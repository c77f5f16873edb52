import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, aSeededHome, seed, type CliHome } from "#harness/machine/cli-home.ts";
import { readOnlyFile, remount, smallDisk, type DiskOptions } from "#harness/store/small-disk.ts";

interface Line {
  readonly name: string;
  readonly state: string;
  readonly text: string;
  readonly fix: string | null;
}

/** The failures by their names; nothing that doctor has made may be left. */
async function failures(home: CliHome): Promise<Map<string, Line>> {
  const ran = await home.shim("doctor --json");
  const { checks } = ran.json() as { checks: Line[] };
  const failed = checks.filter(({ state }) => state === "fail");
  expect(ran.code === 0).toBe(failed.length === 0);
  expect(readdirSync(home.paths.home).filter((name) => name.startsWith("doctor-"))).toEqual([]);
  return new Map(failed.map((line) => [line.name, line]));
}

function aHomeOn(test: Parameters<typeof smallDisk>[0], megabytes: number, options: DiskOptions = {}): CliHome {
  const home = aCliHome();
  smallDisk(test, megabytes, { ...options, at: home.paths.home });
  return home;
}

function fill(home: CliHome, make: (path: string) => void): void {
  try {
    for (let n = 0; n < 10_000; n++) make(join(home.paths.home, `ballast-${n}`));
  } catch {
    // It is full.
  }
}

it("[CL130] doctor fails where hardly an inode is free, and where none is", async (test) => {
  const home = aHomeOn(test, 64, { inodes: 60 });
  expect([...(await failures(home)).keys()]).toEqual([]);
  for (let n = 0; n < 45; n++) writeFileSync(join(home.paths.home, `ballast-${n}`), "");
  const few = await failures(home);
  expect([...few.keys()]).toEqual(["disk_space"]);
  expect(few.get("disk_space")?.text).toMatch(/^1\d of 60 inodes free/);
  fill(home, (path) => writeFileSync(path, ""));
  const none = await failures(home);
  expect(none.get("disk_space")?.text).toMatch(/^0 of 60 inodes free/);
  expect(none.get("folder")?.text).toContain("ENOSPC");
  expect(none.get("folder")?.fix).toContain("SHIM_HOME");
});

it("[CL130] doctor fails where the disk takes nothing more", async (test) => {
  const home = aHomeOn(test, 60);
  expect([...(await failures(home)).keys()]).toEqual([]);
  fill(home, (path) => writeFileSync(path, Buffer.alloc(4_000_000)));
  const full = await failures(home);
  expect(full.get("disk_space")?.fix).toContain("Free some space");
  expect(full.get("folder")?.text).toContain("ENOSPC");
});

it("[CL130] doctor fails where the folder of the store became read-only", async (test) => {
  const home = aHomeOn(test, 64);
  seed(home);
  home.runtime.store.close();
  remount(home.paths.home, "ro");
  const failed = await failures(home);
  expect(failed.get("folder")?.text).toContain("cannot be written to (EROFS");
  expect(failed.get("store")?.text).toContain("the folder or the file is read-only");
  remount(home.paths.home, "rw");
});

it("[CL130] doctor fails where the file of the store alone is read-only", async (test) => {
  const home = aSeededHome();
  home.runtime.store.close();
  readOnlyFile(test, home.paths.database);
  const failed = await failures(home);
  expect([...failed.keys()]).toEqual(["store"]);
  expect(failed.get("store")?.text).toContain(`${home.paths.database} is sound, but cannot be written to (EROFS`);
});
