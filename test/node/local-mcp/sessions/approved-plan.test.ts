import { expect, it } from "vitest";
import { brief } from "#src/local-mcp/recovery/brief.ts";
import { restore } from "#src/local-mcp/recovery/restoration.ts";
import { nextStepOf } from "#src/local-mcp/sessions/current-work.ts";
import { aChat, stateOf, storedSession, type Claude } from "#harness/machine/claude.ts";

const plan = "# Kitchen\n1. Fix the shelf\n2. Add Lazurite to the wall\n3. Fix the lamp";

/** The plan section of the brief, and whether the plan is the next step. */
function planAfter(work: (claude: Claude) => void): { text: string; isNext: boolean } {
  const { runtime, claude } = aChat();
  claude.prompt("Plan the kitchen");
  claude.use("ExitPlanMode", { plan }, { plan });
  work(claude);
  const from = restore(runtime, storedSession(runtime, claude.session));
  const shown = from ? brief(from, runtime.now(), "resume") : "";
  const state = stateOf(runtime, claude.session);
  const isNext = state !== null && nextStepOf(state)?.text === "carry on with the approved plan";
  return { text: /^plan \([^]*?(?=^next step)/m.exec(shown)?.[0] ?? "", isNext };
}

it("[CP65] a step of a plan is marked once the chat or a task says that it is done", () => {
  const { text, isNext } = planAfter((claude) => {
    claude.stop("The shelf is fixed.");
    claude.use("TodoWrite", { todos: [{ content: "Fix the lamp", status: "completed" }] });
    claude.prompt("ok");
    claude.stop("I looked at the wall, it is not painted.");
  });
  expect(text).toContain("# Kitchen\n  1. Fix the shelf [said to be done]");
  expect(text).toContain("  2. Add Lazurite to the wall\n");
  expect(text).toContain("  3. Fix the lamp [said to be done]");
  expect(isNext).toBe(true);
});

it("[CP65] a step that names what was taken back says what changed it", () => {
  const { text } = planAfter((claude) => {
    claude.stop("I begin.");
    claude.prompt("Use Lazurite for the wall.");
    claude.stop("Noted.");
    claude.prompt("Use Ochre instead of Lazurite for the wall.");
    claude.stop("Noted.");
  });
  expect(text).toMatch(/2\. Add Lazurite to the wall \[changed later: Use Ochre instead of Lazurite/);
});

it.each([
  "All steps of the plan are finished: the kitchen can be used.",
  "The kitchen plan is completely implemented.",
  "The shelf is fixed. Lazurite is added to the wall. The lamp is fixed.",
])("[CP65] a plan that is carried out is one line, and no next step: %s", (words) => {
  const { text, isNext } = planAfter((claude) => {
    claude.stop(words);
    claude.prompt("Now write the letter to the landlord");
    claude.stop("The letter is written.");
  });
  expect(text).toMatch(/^plan \(approved \d+ s ago\): # Kitchen \[(?:said to be done: |all steps done\])/);
  expect(text).not.toContain("Fix the shelf\n");
  expect(isNext).toBe(false);
});

it.each([
  "Half of the plan is done.",
  "Step 1 of the plan is done.",
  "The plan is not finished.",
  "The plan is approved, I begin.",
  "Next I will finish all of the plan.",
  "The complete plan is saved in kitchen.md.",
  "I wrote the complete plan down.",
  "The whole plan runs over two days.",
  "All of the plan except the lamp is done.",
  "The walls are dry; the plan is finished except the lamp.",
])("[CP65] a plan is open after: %s", (words) => {
  expect(planAfter((claude) => claude.stop(words)).text).toContain("Fix the shelf");
});
