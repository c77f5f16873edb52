import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { commitAll, git, makeProject, write } from "#harness/machine/git-project.ts";
import { changedFiles } from "#src/code/evolution/change.ts";
import { userGit } from "#src/snapshots/git.ts";

it("changed files are those of two commits, with both texts", async () => {
  const { project: folder } = makeProject({
    "app/a.ts": "a\n",
    "app/b.test.ts": "b\n",
    "app/l.ts": "l\n",
    "ä b.ts": "c\n",
  });
  const base = git(folder, "rev-parse", "HEAD").trim();
  write(folder, { "app/a.ts": "new\n", "app/d.ts": "d\n", "ä b.ts": "c2\n", "app/e.png": "\0" });
  for (const name of ["b.test.ts", "l.ts"]) rmSync(join(folder, "app", name));
  symlinkSync("a.ts", join(folder, "app/l.ts"));
  const commit = commitAll(folder, "changed");
  const own = userGit(process.env, folder, new AbortController().signal);
  const found = (await changedFiles(own, base, commit, "app")).toSorted((a, b) => (a.path < b.path ? -1 : 1));
  expect(found).toEqual([
    { path: "../ä b.ts", kind: "changed", before: "c\n", after: "c2\n" },
    { path: "a.ts", kind: "changed", before: "a\n", after: "new\n" },
    { path: "b.test.ts", kind: "deleted", before: "b\n", after: null },
    { path: "d.ts", kind: "added", before: null, after: "d\n" },
    { path: "e.png", kind: "added", before: null, after: null },
    { path: "l.ts", kind: "retyped", before: "l\n", after: null },
  ]);
});
