import { expect, it } from "vitest";
import { ClaudeRig, endless, endlessTool, shimTool, told } from "#harness/claude/claude-rig.ts";

it("[TE1] [TE4] [TE42] real Claude Codes are a team: a killed chat's task continues in the next, from its checkpoint", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("plan the importer", {
    steps: [
      shimTool("shim_submit", { tasks: [{ type: "build", payload: { part: "the importer" } }] }),
      shimTool("shim_next"),
      shimTool("shim_files", { action: "reserve", paths: ["one.ts"] }),
      shimTool("shim_force_checkpoint", { goal: "the importer", nextStep: "its tests" }),
      shimTool("shim_report", { outcome: "progress", note: "half of it", percent: 50 }),
      endless,
    ],
  });
  await endlessTool(first.claude);
  const [dead] = rig.sessions();
  expect(told(first.model, -1)).toContain("Submitted: 1 (queued).");
  expect(rig.isInTeam(dead!.id)).toBe(true);
  first.claude.kill("SIGKILL");
  await first.claude.waitForExit();
  const second = await rig.printed("go on with the importer", {
    steps: [
      shimTool("shim_next"),
      shimTool("shim_files", { action: "reserve", paths: ["one.ts"] }),
      shimTool("shim_report", { outcome: "done", result: "made" }),
      shimTool("shim_chats", { all: true }),
      { text: "Done." },
    ],
  });
  const heard = told(second.model, -1);
  expect(heard).toMatch(/Taken task 1 \(build, attempt 1 of 3/);
  expect(heard).toContain("half of it");
  expect(heard).toContain(`"checkpoint":{"session":"${dead!.id}"`);
  expect(heard).toContain("Reserved: one.ts.");
  expect(heard).toContain("Reported: task 1 is done.");
  expect(heard).toContain('"completedTasks":1');
});
