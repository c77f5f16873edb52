import { expect, it } from "vitest";
import { aCliHome, printed } from "#harness/machine/cli-home.ts";
import { anUndoRig } from "#harness/machine/cli-rigs.ts";
import { write } from "#harness/machine/git-project.ts";
import { makes } from "#harness/machine/undo-works.ts";

it("an undo names the commands of its chat that are still at work, also those that its death has left", async () => {
  const home = aCliHome();
  const rig = anUndoRig({ a: "0\n" }, { home });
  const { claude, runtime, preview } = rig;
  const inFolder = (...running: [number, string][]): void =>
    void Object.assign(runtime.processes, { inFolder: () => new Map(running) });
  await rig.turn("serve", makes(rig, "1", "a"));
  expect((await preview()).atWork).toEqual([]);
  await rig.begin("and now", makes(rig, "2", "a"));
  claude.begin("Bash", { command: "make 'serve'" });
  expect((await preview()).atWork).toEqual([{ command: "make 'serve'", pids: [] }]);
  inFolder([3_001, "sh -c make serve"], [3_002, "vi"]);
  expect((await preview()).atWork).toEqual([{ command: "make 'serve'", pids: [3_001] }]);
  const shown = ["Still at work, and may change files again:", "  make 'serve' (pid 3001)"].join("\n");
  expect(await home.shim("undo --yes")).toMatchObject(printed(shown));
  home.alive.clear();
  expect((await preview({ redo: true })).atWork).toMatchObject([{ pids: [3_001] }]);
  inFolder([3_002, "vi"]);
  expect((await preview({ redo: true })).atWork).toEqual([]);
});

it("an undo names what a command in the background changed behind its turn's end, also after an undo", async () => {
  const rig = anUndoRig({ a: "0\n" });
  const { claude, preview } = rig;
  const ended = `<task-notification>\n<task-id>b1</task-id>\n<status>completed</status>\n</task-notification>`;
  const leftOf = async () => (await preview()).left.map(({ path }) => path);
  for (const isUndone of [false, true]) {
    await rig.begin("serve", makes(rig, "1", "a"));
    claude.use("Bash", { command: "make", run_in_background: true }, { backgroundTaskId: "b1" });
    await rig.end();
    if (isUndone) await rig.undo();
    rig.byHand(() => write(rig.project, { late: `${isUndone}\n` }));
    claude.prompt(ended);
    await rig.end();
    expect([isUndone, await leftOf()]).toEqual([isUndone, ["late"]]);
  }
});
