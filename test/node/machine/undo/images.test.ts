import { chmodSync, existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { anUndoRig, type UndoRig } from "#harness/machine/cli-rigs.ts";
import { contents, git, write } from "#harness/machine/git-project.ts";
import { edit, loseFiles, makes, read, reasons } from "#harness/machine/undo-works.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";

const hiddenFiles = ["out/log", "../outside", "../other/made"];

function aRig(isGit = true): UndoRig {
  const rig = anUndoRig({ ".gitignore": "out/\n", a: "0\n" }, { isGit });
  write(rig.project, { "out/log": "0\n", "out/mine": "mine\n", "../outside": "0\n" });
  return rig;
}

function readAll(rig: UndoRig): (string | null)[] {
  return hiddenFiles.map((path) => (existsSync(join(rig.project, path)) ? (read(rig, path)[0] ?? "") : null));
}

it.each<[boolean, string]>([
  [true, ""],
  [false, " @night"],
])("edits come back wherever the file is: undo, redo, undo (git: %s)%s", async (isGit) => {
  const rig = aRig(isGit);
  chmodSync(join(rig.project, "../outside"), 0o600);
  await rig.turn("one", ...hiddenFiles.map((path) => edit(rig, path, "1\n")));
  await rig.turn("two", ...hiddenFiles.map((path) => edit(rig, path, "2\n")));
  const before = ["0\n", "0\n", null];
  const { diff, changes } = await rig.preview({ prompt: "1" });
  expect(changes.map(({ path }) => path).toSorted()).toEqual(hiddenFiles.toSorted());
  expect(diff).toContain("-2\n+0\n");
  expect(await rig.undo()).toMatchObject({ prompt: { number: 2 }, left: [] });
  expect(readAll(rig)).toEqual(["1\n", "1\n", "1\n"]);
  expect(await rig.undo()).toMatchObject({ prompt: { number: 1 }, left: [] });
  expect([readAll(rig), read(rig, "out/mine")]).toEqual([before, ["mine\n"]]);
  expect(statSync(join(rig.project, "../outside")).mode & 0o777).toBe(0o600);
  expect(await rig.undo({ redo: true })).toMatchObject({ left: [] });
  expect(readAll(rig)).toEqual(["1\n", "1\n", "1\n"]);
  await rig.undo();
  expect(readAll(rig)).toEqual(before);
});

it("what a person does to such a file, between two edits or after the last, stays and is named", async () => {
  const rig = aRig();
  const byPerson = { tool: "Read", path: "a", work: () => write(rig.project, { "out/log": "by hand\n" }) };
  await rig.turn("one", edit(rig, "out/log", "1\n"), byPerson, edit(rig, "out/log", "2\n"));
  await rig.turn("two", edit(rig, "../outside", "2\n"));
  rig.byHand(() => write(rig.project, { "../outside": "later\n" }));
  const { changes, left } = await rig.undo({ prompt: "1" });
  const named = {
    "out/log": "it was changed between two edits of the chat, not by them",
    "../outside": "it was changed since, not by this chat",
  };
  expect([changes, reasons(left)]).toEqual([[], named]);
  expect(read(rig, "out/log", "../outside")).toEqual(["2\n", "later\n"]);
});

it("an edit comes back where no reading has the files of the turn's start; of a command it is said", async () => {
  const rig = aRig();
  await rig.begin("one", edit(rig, "a", "1\n"));
  loseFiles(rig);
  await rig.end();
  expect(await rig.undo()).toMatchObject({ changes: [{ path: "a", now: "changed" }], left: [] });
  await rig.begin("two", edit(rig, "a", "2\n"), makes(rig, "2", "b"));
  loseFiles(rig);
  await rig.end();
  const { changes, left } = await rig.undo();
  expect([changes, left.map(({ path }) => path)]).toEqual([[{ path: "a", now: "changed" }], ["*"]]);
});

it("an edit of a file that a command of the turn had changed comes back as it was before both", async () => {
  const rig = aRig();
  await rig.turn("one", makes(rig, "1", "a"), edit(rig, "a", "2\n"));
  await rig.turn("two", edit(rig, "a", "3\n"), makes(rig, "4", "a"));
  expect(await rig.undo()).toMatchObject({ changes: [{ path: "a" }], left: [] });
  expect(read(rig, "a")).toEqual(["2\n"]);
  await rig.undo();
  expect(read(rig, "a")).toEqual(["0\n"]);
});

it("an edit that a command of the turn took back is no change", async () => {
  const rig = aRig();
  const revert = { tool: "Bash", work: () => void git(rig.project, "checkout", "-q", "a") };
  await rig.turn("one", edit(rig, "a", "1\n"), edit(rig, "out/log", "1\n"), revert);
  const { changes, left } = await rig.undo();
  expect([changes.map(({ path }) => path), left]).toEqual([["out/log"], []]);
});

it("outside of a sparse checkout an edit comes back, and what a command made stays and is named", async () => {
  const rig = anUndoRig({ "in/a": "0\n", "out/b": "0\n", "out/c": "0\n" });
  const { project } = rig;
  git(project, "sparse-checkout", "set", "in");
  await rig.turn("one", edit(rig, "out/b", "1\n"), makes(rig, "1", "in/a", "out/c"));
  const { changes, left } = await rig.undo();
  expect(changes.map(({ path }) => path).toSorted()).toEqual(["in/a", "out/b"]);
  expect(reasons(left)).toEqual({
    "out/c": "it is not known how it was before: it is outside of the sparse checkout",
  });
  expect([read(rig, "in/a", "out/c"), existsSync(join(project, "out/b"))]).toEqual([["0\n", "1\n"], false]);
});

it("a first turn that makes the project a repository, with another in it, goes back but for both `.git`", async () => {
  const rig = anUndoRig({ key: "0\n", a: "0\n" }, { isGit: false });
  const { project } = rig;
  const work = {
    tool: "Bash",
    work: () => {
      git(project, "init", "-q");
      write(project, { a: "1\n", "lib/new": "1\n" });
      git(join(project, "lib"), "init", "-q");
      git(project, "add", "a", "key");
      git(project, "commit", "-q", "-m", "first");
      chmodSync(join(project, "key"), 0o600);
    },
  };
  chmodSync(join(project, "key"), 0o640);
  const before = contents(project);
  await rig.turn("one", work);
  expect((await rig.undo()).left).toEqual([]);
  expect(contents(project, (path) => /(?:^|\/)\.git$/.test(path))).toEqual(before);
  expect(statSync(join(project, "key")).mode & 0o777).toBe(0o640);
});

it("images go with their session", async () => {
  const rig = aRig();
  await rig.turn("one", edit(rig, "out/log", "1\n"));
  const count = (): unknown => rig.runtime.store.read((sql) => sql.all("SELECT count(*) AS n FROM file_images"), []);
  expect(count()).toEqual([{ n: 2 }]);
  rig.runtime.store.write((sql) => forget(sql, { session: rig.claude.session }));
  expect(count()).toEqual([{ n: 0 }]);
  rmSync(join(rig.project, "out"), { recursive: true });
});
