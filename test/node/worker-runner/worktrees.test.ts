import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { git, write } from "../../support/git-project.ts";
import { aTask, whereOf, Yard } from "../../support/work-yard.ts";

it("[WK47] a `.git` that a program removed or wrote anew leads to no other repository and no settings of its own", async () => {
  const yard = new Yard();
  git(yard.root, "init", "-q", "-b", "around", ".");
  const before = yard.git("rev-parse", "main");
  const settings = `[filter "own"]\n  clean = touch ${join(yard.root, "ran")}\n`;
  const ways: ((folder: string) => void)[] = [
    () => undefined,
    (folder) => write(folder, { ".git": `gitdir: ${join(yard.repository, ".git")}\n` }),
    (folder) => {
      git(folder, "init", "-q", ".");
      write(folder, { ".git/config": settings, ".gitattributes": "* filter=own\n" });
    },
  ];
  for (const [number, change] of ways.entries()) {
    const place = await yard.open(aTask(null, number + 1));
    const { branch } = whereOf(place);
    rmSync(join(place.folder, ".git"));
    change(place.folder);
    write(place.folder, { "new.txt": "new\n" });
    await place.save();
    expect(await place.finish()).toMatchObject({ branch, commit: yard.git("rev-parse", branch) });
    expect(yard.git("show", `${branch}:new.txt`)).toBe("new");
    await place.release(false);
  }
  expect([yard.git("rev-parse", "main"), yard.git("status", "--short")]).toEqual([before, ""]);
  expect(git(yard.root, "for-each-ref")).toBe("");
  expect(existsSync(join(yard.root, "ran"))).toBe(false);
});

it("[WK17] what git runs by the settings of a project gets none of SHIM's secrets", async () => {
  const yard = new Yard();
  const seen = join(yard.root, "seen");
  yard.git("config", "filter.own.clean", `env > '${seen}'; cat`);
  const place = await yard.open(aTask(), { env: { SHIM_ADMIN_SECRET: "secret", SHIM_HOME: "/home/shim" } });
  write(place.folder, { ".gitattributes": "*.txt filter=own\n", "new.txt": "new\n" });
  await place.finish();
  const names = readFileSync(seen, "utf8");
  expect([names.includes("SHIM_HOME="), names.includes("SHIM_ADMIN_SECRET=")]).toEqual([true, false]);
});
