import { expect, it } from "vitest";
import { aChat, aProject } from "#harness/machine/claude.ts";
import { aDeadChat, connect, desktop, type Answer } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

function sessionOf({ output }: Answer): string {
  return String(output["session"]);
}

it("a chat that begins in an app whose session has work gets one of its own; the others are named to it", async () => {
  const runtime = tempRuntime();
  const { ask, chat } = await desktop(runtime);
  const start = async (input = {}): Promise<Answer> => ask("shim_check_recovery", { start: true, ...input });
  const first = sessionOf(await start());
  expect(sessionOf(await start())).toBe(first);
  await ask("shim_force_checkpoint", { goal: "write the importer" });
  const answer = await start();
  const second = sessionOf(answer);
  expect(second).not.toBe(first);
  expect(answer.text).toContain(`"write the importer" (${first})`);
  expect((await ask("shim_check_recovery", { of: first })).text).toContain("ago): write the importer");
  expect(sessionOf(await ask("shim_force_checkpoint", { goal: "test it" }))).toBe(second);
  expect(sessionOf(await ask("shim_force_checkpoint", { session: first, done: ["it"] }))).toBe(first);
  // A chat that names a project does not get the session of one that names none.
  const third = sessionOf(await start({ project: aProject() }));
  expect([first, second]).not.toContain(third);
  expect(chat.servedSessions()).toEqual(expect.arrayContaining([first, second, third]));
  expect(sessionOf(await start({ session: first }))).toBe(first);
});

it("a chat that hooks have seen keeps its session when it says that it begins", async () => {
  const { runtime, claude } = aChat();
  claude.turn("fix it");
  const { ask } = await connect(runtime, { clientPid: claude.pid });
  expect((await ask("shim_check_recovery", { start: true })).output["session"]).toBe(claude.session);
});

it.each([
  ["shim_check_recovery", { start: true }],
  ["shim_auto_checkpoint", { user: ["hello"] }],
  ["shim_force_checkpoint", { goal: "x" }],
  ["shim_monitor_signals", {}],
  ["shim_session_status", {}],
  ["shim_clear_state", { scope: "notices", confirm: "yes, delete" }],
])("%s as the first call of a chat brings the brief once, also after a refusal", async (tool, input) => {
  const runtime = tempRuntime();
  await aDeadChat(runtime);
  const { ask, refusal } = await desktop(runtime);
  expect(await refusal("shim_session_status", { session: "unknown" })).not.toContain("recovered data");
  expect((await ask(tool, input)).text.split("ago): write the importer")).toHaveLength(2);
  expect((await ask("shim_session_status")).text).not.toContain("recovered data");
});
