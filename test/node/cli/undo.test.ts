import { join } from "node:path";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import { aCliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { anotherClaude } from "#harness/machine/claude.ts";
import { write } from "#harness/machine/git-project.ts";
import { anUndoRig } from "#harness/machine/cli-rigs.ts";

it("`shim undo` shows files and difference, asks, can be taken back, and is in the audit log", async () => {
  const home = aCliHome();
  const { project } = home;
  expect(await home.shim("undo")).toMatchObject(failed(3, "no chat of"));
  const rig = anUndoRig({ "a.txt": "one\n", "b.txt": "one\n" }, { home });
  const work = (): void => write(project, { "a.txt": "two\n", "new.txt": "new\n", "b.txt": "two\n" });
  await rig.turn("rewrite it", { tool: "Bash", work });
  write(project, { "b.txt": "by hand\n" });
  const content = (): string => readFileSync(join(project, "a.txt"), "utf8");
  expect(await home.shim("undo")).toMatchObject(
    failed(1, "+one", "a.txt: put back", "new.txt: is deleted", "b.txt: it was changed since", "Add --yes"),
  );
  const asked = (answer: string) => home.shimWith({ isInteractive: true, ask: async () => answer }, "undo", "rewrite");
  expect(await asked("n")).toMatchObject(printed("Nothing was changed."));
  expect(content()).toBe("two\n");
  expect(await asked("y")).toMatchObject(
    printed(`Took back 2 files in ${project}: chat `, /Not put back:\n {2}b\.txt: /, "shim undo --redo"),
  );
  expect(content()).toBe("one\n");
  expect((await home.shim("undo --redo --yes")).code).toBe(0);
  expect(content()).toBe("two\n");
  expect(listNewest(home.runtime, 5).map(({ kind, actor, detail }) => [kind, actor, detail])).toEqual([
    ["files.redone", "command line", { result: "done", rows: 2 }],
    ["files.undone", "command line", { result: "done", rows: 2 }],
  ]);
});

it("`shim undo` and `shim undo last` take the turn that changed files last, whichever chat it was of", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ "a.txt": "one\n" }, { home });
  await rig.turn("edit it", { tool: "Bash", work: () => write(home.project, { "a.txt": "two\n" }) });
  await rig.turn("only read it", { tool: "Read", path: "a.txt", work: () => {} });
  anotherClaude(rig.runtime, rig.claude).start();
  const shown = failed(1, /chat \S+ \(edit it\), since prompt 1, "edit it" \(.* ago\):/, "a.txt: put back");
  for (const words of [[], ["last"]]) expect(await home.shim("undo", ...words)).toMatchObject(shown);
  expect(await home.shim("undo nowhere")).toMatchObject(failed(3, 'no prompt begins with "nowhere"'));
});
