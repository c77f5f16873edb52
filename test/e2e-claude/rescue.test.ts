import { readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { transcriptPath } from "#harness/claude/claude-code.ts";
import { ClaudeRig, received, shimTool } from "#harness/claude/claude-rig.ts";
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

it("Claude Code continues the copy of a session that its API refuses with each prompt", async () => {
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

it("Claude Code sends nothing before a row whose parent is nowhere, and all of it in the copy @night", async () => {
  const rig = new ClaudeRig();
  const { model } = await rig.printed("the word is pear", { steps: [{ text: "Noted." }] });
  const { id } = await rig.begun();
  const goOn = async (prompt: string, session: string): Promise<string> =>
    received((await rig.printed(prompt, { steps: [{ text: "Noted, too." }], args: ["--resume", session] })).model);
  expect(await goOn("the second is plum", id)).toContain("the word is pear");
  const path = transcriptPath(rig.home, rig.project, id);
  const rows = readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const second = rows.findIndex((row) => row["type"] === "user" && JSON.stringify(row).includes("the second is plum"));
  // The client takes a row of the last five seconds for a parent that it does not find.
  const damaged = rows.map((row, at) => {
    const { timestamp } = row;
    if (at < second && typeof timestamp === "string")
      return Object.assign(row, { timestamp: new Date(Date.parse(timestamp) - 60_000).toISOString() });
    return at === second ? Object.assign(row, { parentUuid: "ffffffff-0000-4000-8000-000000000000" }) : row;
  });
  writeFileSync(path, damaged.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const shim = (...args: string[]) => JSON.parse(runShim(args, { cwd: rig.project, env: rig.envOf(model) }));
  const { reason, done } = shim("rescue", id, "--yes", "--json");
  expect(reason).toBe("cut_off");
  expect(await goOn("go on", id)).not.toContain("the word is pear");
  const whole = await goOn("go on", done.copy.session);
  expect(whole).toContain("the word is pear");
  expect(whole).toContain("the second is plum");
});

it("/shim:rescue instructs the model, which learns why and which command continues the old chat @night", async () => {
  const { rig, id } = await aPoisonedSession();
  const steps = [shimTool("shim_check_recovery", { of: id }), { text: "The user knows." }];
  const { model } = await rig.printed("/shim:rescue", { steps });
  const requests = model.requests.filter(({ kind }) => kind === "loop").map(({ messages }) => JSON.stringify(messages));
  expect(requests[0]).toContain("An earlier chat of the user cannot be continued any more");
  expect(requests[1]).toContain("Its client cannot continue it (poisoned)");
  expect(requests[1]).toMatch(/ rescue [0-9a-f]{8}`/);
});
