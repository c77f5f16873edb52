import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { git, write } from "#harness/machine/git-project.ts";
import { aTask, whereOf, RepositoryRig } from "#harness/worker/repository-rig.ts";

it("[WK47] a `.git` that a program removed or wrote anew leads to no other repository and no settings of its own", async () => {
  const rig = new RepositoryRig();
  git(rig.root, "init", "-q", "-b", "around", ".");
  const before = rig.git("rev-parse", "main");
  const settings = `[filter "own"]\n  clean = touch ${join(rig.root, "ran")}\n`;
  const ways: ((folder: string) => void)[] = [
    () => undefined,
    (folder) => write(folder, { ".git": `gitdir: ${join(rig.repository, ".git")}\n` }),
    (folder) => {
      git(folder, "init", "-q", ".");
      write(folder, { ".git/config": settings, ".gitattributes": "* filter=own\n" });
    },
  ];
  for (const [number, change] of ways.entries()) {
    const place = await rig.open(aTask(null, number + 1));
    const { branch } = whereOf(place);
    rmSync(join(place.folder, ".git"));
    change(place.folder);
    write(place.folder, { "new.txt": "new\n" });
    await place.save();
    expect(await place.finish()).toMatchObject({ branch, commit: rig.git("rev-parse", branch) });
    expect(rig.git("show", `${branch}:new.txt`)).toBe("new");
    await place.release(false);
  }
  expect([rig.git("rev-parse", "main"), rig.git("status", "--short")]).toEqual([before, ""]);
  expect(git(rig.root, "for-each-ref")).toBe("");
  expect(existsSync(join(rig.root, "ran"))).toBe(false);
});

it("[WK17] what git runs by the settings of a project gets none of SHIM's secrets", async () => {
  const rig = new RepositoryRig();
  const seen = join(rig.root, "seen");
  rig.git("config", "filter.own.clean", `env > '${seen}'; cat`);
  const place = await rig.open(aTask(), { env: { SHIM_ADMIN_SECRET: "secret", SHIM_HOME: "/home/shim" } });
  write(place.folder, { ".gitattributes": "*.txt filter=own\n", "new.txt": "new\n" });
  await place.finish();
  const names = readFileSync(seen, "utf8");
  expect([names.includes("SHIM_HOME="), names.includes("SHIM_ADMIN_SECRET=")]).toEqual([true, false]);
});
