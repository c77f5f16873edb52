import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { anUndoRig } from "#harness/machine/cli-rigs.ts";
import { git } from "#harness/machine/git-project.ts";
import { command, edit, read } from "#harness/machine/undo-works.ts";
import { foldsCase } from "#src/platform/paths.ts";

/** Where the temporary folder counts case there is nothing to test: TMPDIR names another. */
const folded = it.skipIf(!foldsCase(tmpdir()));

folded("an edit that names a file in other letters than the disk is the file's", async () => {
  const rig = anUndoRig({ "Name.txt": "0\n" });
  await rig.turn("one", edit(rig, "NAME.txt", "1\n"));
  const { changes, left } = await rig.undo();
  expect([changes, left, read(rig, "Name.txt")]).toEqual([[{ path: "Name.txt", now: "changed" }], [], ["0\n"]]);
});

folded("a tracked file that a command renames in its letters' case alone is there after an undo", async () => {
  const rig = anUndoRig({ "Name.txt": "0\n" });
  const rename = command(() => {
    renameSync(join(rig.project, "Name.txt"), join(rig.project, "name.txt"));
    writeFileSync(join(rig.project, "name.txt"), "1\n");
  });
  await rig.turn("one", rename);
  await rig.undo();
  expect(read(rig, "Name.txt")).toEqual(["0\n"]);
});

folded("a file that no snapshot has, renamed in its letters' case alone, is not deleted by an undo", async () => {
  const rig = anUndoRig({ ".gitignore": "Notes\n", a: "0\n" });
  // As in a repository that was copied from a disk which counts case.
  git(rig.project, "config", "core.ignorecase", "false");
  writeFileSync(join(rig.project, "Notes"), "mine\n");
  await rig.turn(
    "one",
    command(() => renameSync(join(rig.project, "Notes"), join(rig.project, "notes"))),
  );
  await rig.undo();
  expect(existsSync(join(rig.project, "notes"))).toBe(true);
  expect(readdirSync(rig.project)).toEqual(expect.arrayContaining([expect.stringMatching(/^notes$/i)]));
});
