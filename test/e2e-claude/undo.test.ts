import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { bash, call, ClaudeRig, received } from "#harness/claude/claude-rig.ts";
import { shellWork, undoesTheTurn, written } from "#harness/clients/undo-flow.ts";

function work(rig: ClaudeRig) {
  const path = { file_path: rig.path("one.ts") };
  return [call("Read", path), call("Write", { ...path, content: written }), bash(shellWork), { text: "Done." }];
}

it("the edits and commands of a real turn are taken back, and that is taken back", async () => {
  const rig = new ClaudeRig();
  await rig.printed("Rewrite the files", { steps: work(rig) });
  const [session] = rig.sessions();
  const { checkpoints, snapshots } = rig.stored(session!.id);
  const first = checkpoints.find(({ trigger }) => trigger === "turn");
  expect(snapshots.find(({ checkpointId }) => checkpointId === first?.id)).toMatchObject({ state: "done" });
  undoesTheTurn(rig);
});

it("a turn that was interrupted after its commands is taken back", async () => {
  const rig = new ClaudeRig();
  const { claude, model } = await rig.typed("Rewrite the files", {
    steps: [...work(rig).slice(0, -1), { hold: "end", text: "Done." }],
  });
  await model.held("end");
  claude.type("\u001b");
  await rig.written("[Request interrupted by user");
  undoesTheTurn(rig);
});

it("/shim:undo shows the user what would change, and the plugin's program takes the chat's work back", async () => {
  const rig = new ClaudeRig();
  const chat = await rig.typed("Rewrite the files", { steps: [...work(rig), ...undoSteps()] });
  await rig.last(chat.id, "turn_end");
  await chat.claude.send("/shim:undo");
  await rig.turns(chat.id, 2);
  const asked = chat.model.requests.findIndex((_, at) =>
    received(chat.model, at).includes("before a turn of this chat"),
  );
  expect(asked).toBeGreaterThan(0);
  expect(received(chat.model, -1)).toContain("made/new.ts");
  expect(readFileSync(rig.path("one.ts"), "utf8")).toBe("export {};\n");
});

function undoSteps() {
  const program = `node "${join(import.meta.dirname, "..", "..", "plugin", "launch.mjs")}" undo`;
  return [bash(`${program} --diff --json`), bash(`${program} --yes --json`), { text: "It is as before." }];
}
