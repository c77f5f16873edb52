import { chmodSync, mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dropSnapshots } from "#src/snapshots/drop-snapshots.ts";
import { restoreFiles } from "#src/snapshots/restore-files.ts";
import {
  contents,
  GIT_ENV,
  HOST,
  paths,
  reasonFor,
  take,
  taken,
  temporaryFolder,
  withGit,
  write,
  type GitProject,
} from "#harness/machine/git-project.ts";

function aFolder(files: Record<string, string | Buffer>): GitProject {
  const root = temporaryFolder();
  const project = join(root, "project");
  mkdirSync(project);
  write(project, files);
  return { root, project, snapshots: join(root, "home", "snapshots") };
}

it("a folder outside git is saved byte for byte and comes back, and nothing is written into it", async () => {
  const from = aFolder({
    "a.txt": "one\r\n",
    "sub/run.sh": "#!/bin/sh\n",
    ".gitattributes": "* text=auto\n",
    ".gitignore": "out/\n",
    "out/built.js": "built\n",
    "node_modules/p/index.js": "installed\n",
    ".env": "KEY=1\n",
  });
  chmodSync(join(from.project, "sub/run.sh"), 0o755);
  symlinkSync("a.txt", join(from.project, "link"));
  const before = contents(from.project);
  const snapshot = await taken(from);
  expect(paths(snapshot).toSorted()).toEqual([".gitattributes", ".gitignore", "a.txt", "link", "sub/run.sh"]);
  expect(reasonFor(snapshot, ".env")).not.toBe("not left out");
  expect(contents(from.project)).toEqual(before);
  const into = join(from.root, "back");
  const { repository, commit } = snapshot;
  await restoreFiles({ ...HOST, repository, commit, into, timeoutMs: 60_000 });
  const isSaved = (path: string): boolean => paths(snapshot).includes(path);
  expect(contents(into)).toEqual(Object.fromEntries(Object.entries(before).filter(([path]) => isSaved(path))));
});

it("neither a home folder, nor one above it, nor one with too many files is taken", async () => {
  const from = aFolder({ "a.txt": "one\n" });
  for (const HOME of [from.project, join(from.project, "me")])
    expect(await take(from, { env: { ...GIT_ENV, HOME } })).toMatchObject({
      state: "skipped",
      reason: expect.stringContaining("is no project"),
    });
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`${at}/f`, ""]));
  expect((await taken(aFolder(many))).files).toBe(120);
});

it("the next snapshot of a folder outside git reads only what has changed, until its base is dropped", async () => {
  const from = aFolder({ "a.txt": "one\n", "b.txt": "two\n", "c.txt": "three\n" });
  await taken(from, { checkpointId: "cp1" });
  write(from.project, { "a.txt": "changed\n", "d.txt": "new\n" });
  rmSync(join(from.project, "b.txt"));
  const second = await taken(from, { checkpointId: "cp2" });
  expect(paths(second)).toEqual(["a.txt", "c.txt", "d.txt"]);
  expect(second.bytes).toBe(12);
  const indexes = (): string[] => readdirSync(second.repository).filter((name) => name.startsWith("base"));
  expect(indexes().toSorted()).toEqual(["base-index", "base.json"]);
  const { repository } = second;
  await dropSnapshots({ ...HOST, repository, checkpointIds: ["cp2"], timeoutMs: 60_000 });
  expect(indexes()).toEqual([]);
  const third = await taken(from, { checkpointId: "cp3" });
  expect([third.bytes, paths(third)]).toEqual([18, ["a.txt", "c.txt", "d.txt"]]);
});

it("without git the reason says so", async () => {
  const from = aFolder({ "a.txt": "one\n" });
  expect(await take(from, { env: { ...GIT_ENV, PATH: from.root } })).toMatchObject({
    reason: expect.stringContaining("not installed"),
  });
  expect(await take(from, { env: withGit(from, 'exec $GIT "$@"') })).toMatchObject({ state: "done" });
});
