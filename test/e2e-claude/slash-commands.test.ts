import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, ClaudeRig, endless, endlessTool, shimTool, told } from "#harness/claude/claude-rig.ts";

const launcher = join(import.meta.dirname, "..", "..", "plugin", "launch.mjs");

/** A run that was killed in the middle of its work. */
async function aDeadRun(rig: ClaudeRig): Promise<string> {
  const { claude } = await rig.print("fix the parser", { steps: [bash("echo begun"), endless] });
  await endlessTool(claude);
  claude.kill("SIGKILL");
  await claude.waitForExit();
  return rig.sessions()[0]?.id ?? "";
}

it("[CL69] /shim:dismiss tells the model how, and the dead chat is not offered again", async () => {
  const rig = new ClaudeRig();
  const dead = await aDeadRun(rig);
  const steps = [shimTool("shim_check_recovery", { dismiss: true }), { text: "It is not offered any more." }];
  const chat = await rig.printed("/shim:dismiss", { steps });
  expect(told(chat.model)).toContain("Say in one sentence which chat is not offered any more.");
  expect(rig.session(dead).recovery).toBe("dismissed");
});

it("[HO21] [HO53] a chat that asks for a permission waits for its user until that is given", async () => {
  const rig = new ClaudeRig();
  const command = `"${process.execPath}" "${launcher}" hook Notification`;
  const settings = { hooks: { Notification: [{ hooks: [{ type: "command", command, timeout: 10 }] }] } };
  const fetch = { tools: [{ name: "WebFetch", input: { url: "http://127.0.0.1:1/", prompt: "x" } }] };
  const args = ["--permission-mode", "default"];
  const chat = await rig.terminal({ steps: [fetch, { text: "Done." }], settings, args });
  await chat.claude.send("look it up");
  const { id } = await untilFound(() => rig.sessions()[0], "a session");
  await rig.until(id, ({ waiting }) => waiting?.for === "permission", "the question");
  chat.claude.type("\r");
  await rig.until(id, ({ waiting }) => waiting === undefined, "the answer");
});
