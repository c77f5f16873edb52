import { expect, it } from "vitest";
import { ClaudeRig, received, shimTool } from "#harness/claude/claude-rig.ts";

it("[TE1] [TE4] [TE42] real Claude Codes are a team: a killed chat's task continues in the next, from its checkpoint", async () => {
  const rig = new ClaudeRig();
  const first = await rig.killed("plan the importer", {
    steps: [
      shimTool("shim_submit", { tasks: [{ type: "build", payload: { part: "the importer" } }] }),
      shimTool("shim_next"),
      shimTool("shim_files", { action: "reserve", paths: ["one.ts"] }),
      shimTool("shim_force_checkpoint", { goal: "the importer", nextStep: "its tests" }),
      shimTool("shim_report", { outcome: "progress", note: "half of it", percent: 50 }),
    ],
  });
  const [dead] = rig.sessions();
  expect(received(first.model, -1)).toContain("Submitted: 1 (queued).");
  expect(rig.isInTeam(dead!.id)).toBe(true);
  const second = await rig.printed("go on with the importer", {
    steps: [
      shimTool("shim_next"),
      shimTool("shim_files", { action: "reserve", paths: ["one.ts"] }),
      shimTool("shim_report", { outcome: "done", result: "made" }),
      shimTool("shim_chats", { all: true }),
      { text: "Done." },
    ],
  });
  const last = received(second.model, -1);
  expect(last).toMatch(/Taken task 1 \(build, attempt 1 of 3/);
  expect(last).toContain("half of it");
  expect(last).toContain(`"checkpoint":{"session":"${dead!.id}"`);
  expect(last).toContain("Reserved: one.ts.");
  expect(last).toContain("Reported: task 1 is done.");
  expect(last).toContain('"completedTasks":1');
});
