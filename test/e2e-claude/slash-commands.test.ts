import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "../support/claude-code.ts";
import { bash, Desk, endless, endlessTool, shimTool, told } from "../support/shim-desk.ts";

const launcher = join(import.meta.dirname, "..", "..", "plugin", "launch.mjs");

/** A run that was killed in the middle of its work. */
async function aDeadRun(desk: Desk): Promise<string> {
  const { claude } = await desk.print("fix the parser", { steps: [bash("echo begun"), endless] });
  await endlessTool(claude);
  claude.kill("SIGKILL");
  await claude.waitForExit();
  return desk.sessions()[0]?.id ?? "";
}

it("[CL69] /shim:dismiss tells the model how, and the dead chat is not offered again", async () => {
  const desk = new Desk();
  const dead = await aDeadRun(desk);
  const steps = [shimTool("shim_check_recovery", { dismiss: true }), { text: "It is not offered any more." }];
  const chat = await desk.printed("/shim:dismiss", { steps });
  expect(told(chat.model)).toContain("Say in one sentence which chat is not offered any more.");
  expect(desk.session(dead).recovery).toBe("dismissed");
});

it("[HO21] [HO53] a chat that asks for a permission waits for its user until that is given", async () => {
  const desk = new Desk();
  const command = `"${process.execPath}" "${launcher}" hook Notification`;
  const settings = { hooks: { Notification: [{ hooks: [{ type: "command", command, timeout: 10 }] }] } };
  const fetch = { tools: [{ name: "WebFetch", input: { url: "http://127.0.0.1:1/", prompt: "x" } }] };
  const args = ["--permission-mode", "default"];
  const chat = await desk.terminal({ steps: [fetch, { text: "Done." }], settings, args });
  await chat.claude.send("look it up");
  const { id } = await untilFound(() => desk.sessions()[0], "a session");
  await desk.until(id, ({ waiting }) => waiting?.for === "permission", "the question");
  chat.claude.type("\r");
  await desk.until(id, ({ waiting }) => waiting === undefined, "the answer");
});
