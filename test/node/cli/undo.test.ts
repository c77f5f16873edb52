import { join } from "node:path";
import { readFileSync, rmSync } from "node:fs";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import { aCliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { anotherClaude } from "#harness/machine/claude.ts";
import { makeRepository, write } from "#harness/machine/git-project.ts";
import { undoRigIn } from "#harness/machine/undo-rig.ts";

it("`shim undo` shows files and difference, asks, and is in the audit log; --diff, --yes, --redo, --json", async () => {
  const home = aCliHome();
  const { project } = home;
  expect(await home.shim("undo")).toMatchObject(failed(3, "no chat of"));
  const rig = undoRigIn(home, { "a.txt": "one\n", "b.txt": "one\n" });
  const work = (): void => write(project, { "a.txt": "two\n", "new.txt": "new\n", "b.txt": "two\n" });
  await rig.turn("rewrite it", { tool: "Bash", work });
  write(project, { "b.txt": "by hand\n" });
  const content = (): string => readFileSync(join(project, "a.txt"), "utf8");
  expect(await home.shim("undo", "--diff")).toMatchObject(printed("-two\n+one\n"));
  expect(await home.shim("undo")).toMatchObject(
    failed(1, "+one", "a.txt: put back", "new.txt: is deleted", "b.txt: it was changed since", "Add --yes"),
  );
  const asked = (ask: Io["ask"]) => home.shimWith({ isInteractive: true, ask }, "undo", "rewrite");
  expect(await asked(async () => "n")).toMatchObject(printed("Nothing was changed."));
  expect(content()).toBe("two\n");
  expect(await asked(async () => "y")).toMatchObject(
    printed(
      `Took back 2 files in ${project}: chat `,
      'since prompt 1, "rewrite it" (',
      /Not put back:\n {2}b\.txt: /,
      "shim undo --redo",
    ),
  );
  expect(content()).toBe("one\n");
  expect(await home.shim("undo")).toMatchObject(
    printed(/Nothing to put back in .*: chat .* \(rewrite it\), since prompt 1, "rewrite it"/),
  );
  expect(await home.json("undo", "--redo", "--yes")).toMatchObject({
    prompt: null,
    changes: expect.arrayContaining([{ path: "new.txt", now: "missing" }]),
    checkpoint: expect.stringMatching(/^cp_/),
  });
  expect(content()).toBe("two\n");
  const logged = listNewest(home.runtime, 5).map(({ kind, actor, detail }) => [kind, actor, detail]);
  expect(logged).toEqual([
    ["files.redone", "command line", { result: "done", rows: 2 }],
    ["files.undone", "command line", { result: "done", rows: 2 }],
  ]);
  expect(await home.shim("undo", "nowhere")).toMatchObject(failed(3, 'no prompt begins with "nowhere"'));
  expect(await home.shim("undo", "--session", "zzzz")).toMatchObject(failed(3, "there is no session"));
});

it("`shim undo` and `shim undo last` take the turn that changed files last, whichever chat it was of", async () => {
  const home = aCliHome();
  const rig = undoRigIn(home, { "a.txt": "one\n" });
  await rig.turn("edit it", { tool: "Bash", work: () => write(home.project, { "a.txt": "two\n" }) });
  await rig.turn("only read it", { tool: "Read", path: "a.txt", work: () => {} });
  const other = anotherClaude(rig.runtime, rig.claude);
  other.start();
  const shown = failed(1, /chat \S+ \(edit it\), since prompt 1, "edit it" \(.* ago\):/, "a.txt: put back");
  for (const words of [[], ["last"], ["edit"], ["1"]]) expect(await home.shim("undo", ...words)).toMatchObject(shown);
  expect(await home.shim("undo", "--session", other.session)).toMatchObject(
    failed(3, "no prompt of chat", "is stored"),
  );
  expect(await home.shim("undo", "--redo")).toMatchObject(failed(3, "nothing of the chats of"));
  expect(await home.shim("undo", "--yes")).toMatchObject(printed("Took back 1 file"));
  expect(readFileSync(join(home.project, "a.txt"), "utf8")).toBe("one\n");
});

it("where no chat has changed a file, `shim undo` says so", async () => {
  const home = aCliHome();
  const rig = undoRigIn(home, { "a.txt": "one\n" });
  await rig.turn("only read it", { tool: "Read", path: "a.txt", work: () => {} });
  expect(await home.shim("undo")).toMatchObject(failed(3, "none of the 1 chat of", "has changed files"));
});

it("`shim undo` names deleted files that no snapshot has, with the reason", async () => {
  const home = aCliHome();
  const { project } = home;
  const rig = undoRigIn(home, { "a.txt": "one\n", ".gitignore": "*.db\nbuild/\nnode_modules/\n" });
  write(project, { "data.db": "d", "build/out.js": "o", "build/kept.js": "k", "node_modules/x/y.js": "y" });
  write(project, { "large.bin": Buffer.alloc(1_048_577), "grown.bin": Buffer.alloc(1_048_577), ".env": "A=1\n" });
  makeRepository(join(project, "nested"), { "n.txt": "n", "d/m.txt": "m" });
  const gone = ["data.db", "build/out.js", "node_modules", "large.bin", ".env", "nested/d"];
  const work = (): void => {
    for (const path of gone) rmSync(join(project, path), { recursive: true });
    write(project, { "grown.bin": "small" });
  };
  await rig.turn("clean up", { tool: "Bash", work });
  expect(await home.shim("undo", "--yes")).toMatchObject(
    printed(
      /Nothing to put back in .*: chat \S+ \(clean up\), since prompt 1, "clean up"/,
      "  data.db: it was deleted, and no snapshot has it: git ignores it\n",
      "  build/out.js: it was deleted, and no snapshot has it: git ignores it\n",
      "  node_modules/: it was deleted, and no snapshot has it: git ignores it\n",
      "  large.bin: it was deleted, and no snapshot has it: larger than 1048576 bytes\n",
      "  grown.bin: it is not in the snapshots: larger than 1048576 bytes\n",
      /  \.env: it was deleted, and no snapshot has it: /,
      "  nested/d/: it was deleted, and no snapshot has it: a separate git repository\n",
    ),
  );
  const { left } = await rig.preview();
  expect(left.map(({ path }) => path).toSorted()).toEqual(
    [".env", "build/out.js", "data.db", "grown.bin", "large.bin", "nested/d/", "node_modules/"].toSorted(),
  );
});
