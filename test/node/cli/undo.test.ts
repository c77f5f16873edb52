import { join } from "node:path";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import type { Io } from "#src/cli/io.ts";
import { listNewest } from "#src/local-mcp/audit/machine-audit.ts";
import { aCliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { undoRigIn } from "#harness/machine/undo-rig.ts";

it("[UN4] [WP20] `shim undo` shows files and difference, asks, and is in the audit log; --diff, --yes, --redo, --json", async () => {
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
    printed(`Took back 2 files in ${project}.`, /Left as they are:\n {2}b\.txt: /, "shim undo --redo"),
  );
  expect(content()).toBe("one\n");
  expect(await home.shim("undo")).toMatchObject(printed("Nothing to put back since prompt 1"));
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
