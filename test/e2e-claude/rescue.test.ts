import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { transcriptPath } from "#harness/claude/claude-code.ts";
import { ClaudeRig, shimTool } from "#harness/claude/claude-rig.ts";
import { poisonCommand, refusingPoison } from "#harness/clients/poison.ts";
import { runShim } from "#harness/clients/real-clients.ts";

/** A session whose last two prompts the API has refused, since a result of a call is in its way. */
async function aPoisonedSession() {
  const rig = new ClaudeRig();
  const { model } = await rig.printed("the word is pear", { steps: refusingPoison(null) });
  const { id } = await rig.begun();
  const call = { name: "Bash", input: { command: poisonCommand } };
  for (const prompt of ["press the red button", "try the blue one"]) {
    const steps = refusingPoison(prompt === "press the red button" ? call : null);
    await rig.over(await rig.print(prompt, { steps, args: ["--resume", id] }));
  }
  const shim = (...args: string[]) => JSON.parse(runShim(args, { cwd: rig.project, env: rig.envOf(model) }));
  return { rig, id, shim };
}

it("[RS2] [RS5] Claude Code continues the copy of a session that its API refuses with each prompt", async () => {
  const { rig, id, shim } = await aPoisonedSession();
  const path = transcriptPath(rig.home, rig.project, id);
  const before = readFileSync(path);
  const { reason, why, done } = shim("rescue", id, "--yes", "--json");
  expect(reason).toBe("poisoned");
  expect(why).toContain("in the same way (400 invalid_request_error");
  const accepted: string[] = [];
  await rig.printed("go on", { steps: refusingPoison(null, accepted), args: ["--resume", done.copy.session] });
  const request = accepted.find((text) => text.includes("go on"));
  expect(request).toContain("the word is pear");
  expect(request).not.toContain("try the blue one");
  expect(readFileSync(path)).toEqual(before);
  expect(shim("rescue", done.copy.session, "--json")).toMatchObject({ reason: null });
});

it("[RS10] /shim:rescue instructs the model, which learns why and which command continues the old chat @night", async () => {
  const { rig, id } = await aPoisonedSession();
  const steps = [shimTool("shim_check_recovery", { of: id }), { text: "The user knows." }];
  const { model } = await rig.printed("/shim:rescue", { steps });
  const requests = model.requests.filter(({ kind }) => kind === "loop").map(({ messages }) => JSON.stringify(messages));
  expect(requests[0]).toContain("An earlier chat of the user cannot be continued any more");
  expect(requests[1]).toContain("Its client cannot continue it (poisoned)");
  expect(requests[1]).toMatch(/ rescue [0-9a-f]{8}`/);
});
