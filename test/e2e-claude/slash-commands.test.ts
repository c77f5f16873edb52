import { join } from "node:path";
import { expect, it } from "vitest";
import { bash, ClaudeRig, received, shimTool } from "#harness/claude/claude-rig.ts";

const launcher = join(import.meta.dirname, "..", "..", "plugin", "launch.mjs");

it("[CL69] /shim:dismiss tells the model how, and the dead chat is not offered again", async () => {
  const rig = new ClaudeRig();
  await rig.killed("fix the parser", { steps: [bash("echo begun")] });
  const steps = [shimTool("shim_check_recovery", { dismiss: true }), { text: "It is not offered any more." }];
  const chat = await rig.printed("/shim:dismiss", { steps });
  expect(received(chat.model)).toContain("Say in one sentence which chat is not offered any more.");
  expect(rig.sessions()[0]?.recovery).toBe("dismissed");
});

it("[HO21] [HO53] a chat that asks for a permission waits for its user until that is given", async () => {
  const rig = new ClaudeRig();
  const command = `"${process.execPath}" "${launcher}" hook Notification`;
  const settings = { hooks: { Notification: [{ hooks: [{ type: "command", command, timeout: 10 }] }] } };
  const fetch = { tools: [{ name: "WebFetch", input: { url: "http://127.0.0.1:1/", prompt: "x" } }] };
  const args = ["--permission-mode", "default"];
  const chat = await rig.terminal({ steps: [fetch, { text: "Done." }], settings, args });
  await chat.claude.send("look it up");
  const { id } = await rig.begun();
  await rig.until(id, ({ waiting }) => waiting?.for === "permission", "the question");
  chat.claude.type("\r");
  await rig.until(id, ({ waiting }) => waiting === undefined, "the answer");
});
