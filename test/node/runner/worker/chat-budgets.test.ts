import { appendFileSync } from "node:fs";
import { recording } from "#harness/clients/recorded-client.ts";
import { given } from "#harness/coordinator/peers.ts";
import { storedSession } from "#harness/machine/claude.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";
import { type TeamChat, type TeamRig, twoChats } from "#harness/team/team-rig.ts";
import type { Budget } from "#src/contract/budgets.ts";
import type { HookClient } from "#src/contract/clients.ts";
import { ownTools } from "#src/contract/own-tools.ts";
import { teamTools, machineTools } from "#src/contract/tools.ts";
import { expect, it } from "vitest";
import { statusOf } from "#src/machine/view/status-line.ts";

let responses = 0;

/** The model has answered with so many tokens; the client writes that down. */
function answered(chat: TeamChat, tokens: number): void {
  const usage = { input_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: tokens };
  const id = `msg_${(responses += 1)}`;
  const timestamp = new Date(chat.runtime.now()).toISOString();
  appendFileSync(chat.claude.transcript, `${anAssistantLine({ id, usage }, { requestId: id, timestamp })}\n`);
}

async function withTask(budget: Record<string, number>): Promise<{ rig: TeamRig; one: TeamChat; other: TeamChat }> {
  const mates = await twoChats();
  mates.rig.call("tasks.submit", { tasks: [{ type: "a", budget }] });
  await mates.one.ask("shim_next");
  await mates.rig.time.pass(100);
  return mates;
}

function denied({ claude }: TeamChat, tool = "Bash"): string | undefined {
  const call = { tool_name: tool, tool_input: {}, tool_use_id: `toolu_x${(responses += 1)}` };
  return claude.tell("PreToolUse", call).hookSpecificOutput?.permissionDecision;
}

it("an interactive chat's tokens, cost and time are reported with its task's heartbeats and its report", async () => {
  const { rig, one } = await withTask({});
  answered(one, 1_000);
  one.claude.use("Bash");
  const line = { session_id: one.claude.session, cost: { total_cost_usd: 0.5 }, model: { id: "claude-opus-5-5" } };
  statusOf(one.runtime, JSON.stringify(line));
  await rig.time.pass(60_000);
  const used = { tokens: 1_000, costMicros: 500_000 };
  expect(rig.call("budgets.get", {})).toMatchObject({ today: used, chats: [{ chat: one.claude.session, used }] });
  answered(one, 200);
  one.claude.use("Bash");
  await one.ask("shim_report", { outcome: "done" });
  await rig.time.pass(1_000);
  expect(rig.call("budgets.get", {}).today.tokens).toBe(1_200);
  answered(one, 5_000);
  one.claude.use("Bash");
  await rig.time.pass(60_000);
  // What it uses without a task is no task's.
  expect(rig.call("budgets.get", {}).today.tokens).toBe(1_200);
});

it("of a chat with two tasks what it uses is counted for the one that it claimed last, and once", async () => {
  const { rig, one } = await withTask({});
  rig.call("tasks.submit", { tasks: [{ type: "b" }] });
  const member = given(await one.team.chatFor(storedSession(one.runtime, one.claude.session)));
  await member.setAbilities({ capacity: 2 });
  given(await member.claims.claim([], 0));
  answered(one, 1_000);
  one.claude.use("Bash");
  await rig.time.pass(60_000);
  expect(rig.call("tasks.list", {}).tasks).toMatchObject([{ state: "running" }, { state: "running" }]);
  expect(rig.call("budgets.get", {}).today.tokens).toBe(1_000);
});

it("at four fifths of a budget the user and the chat are warned once", async () => {
  const { one } = await withTask({ tokens: 1_000 });
  answered(one, 700);
  expect(one.claude.use("Bash")).toEqual({});
  answered(one, 150);
  const { systemMessage, hookSpecificOutput } = one.claude.use("Bash");
  expect(systemMessage).toContain("task 1 has used 850 tokens of 1,000 tokens");
  expect(hookSpecificOutput?.additionalContext).toBe(systemMessage);
  expect(one.claude.use("Bash")).toEqual({});
  expect(denied(one)).toBeUndefined();
});

it("at the limit the next tool call is denied, but for SHIM's own tools; the task ends, and it stays so until the user says something after that", async () => {
  const { rig, one, other } = await withTask({ tokens: 1_000 });
  for (const chat of [one, other]) answered(chat, 1_000);
  expect([denied(other), denied(one)]).toEqual([undefined, "deny"]);
  expect(denied(one, "mcp__shim__shim_report")).toBeUndefined();
  expect(denied(one, "mcp__plugin_shim_shim__shim_report")).toBeUndefined();
  one.claude.prompt("go on");
  expect(denied(one)).toBe("deny");
  await rig.time.pass(60_000);
  expect(rig.call("tasks.get", { task: 1 })).toMatchObject({ state: "dead" });
  expect(denied(one)).toBe("deny");
  one.claude.prompt("never mind the task, go on");
  expect(denied(one)).toBeUndefined();
});

/** A chat that has used 1,000 tokens, and is given its second task before the answer to a heartbeat of its first. */
async function secondTaskDuringHeartbeat(...budgets: [first: Budget, second: Budget]) {
  const { rig, one } = await twoChats({ hasKey: true });
  const { host, faults } = rig.edge;
  given(await host.call("tasks.submit", { tasks: budgets.map((budget) => ({ type: "a", budget })) }));
  const member = given(await one.team.chatFor(storedSession(one.runtime, one.claude.session)));
  await rig.time.until(member.setAbilities({ capacity: 2 }));
  await rig.time.until(member.claims.claim([], 0));
  answered(one, 1_000);
  one.claude.use("Bash");
  faults.latencyMs = 1_000;
  const claimed = member.claims.claim([], 0);
  await rig.time.pass(500);
  const [held] = member.tasks.list();
  const renewed = held && member.tasks.renew(held);
  given(await rig.time.until(claimed));
  return { one, member, answer: () => rig.time.until(Promise.resolve(renewed)) };
}

it("a late answer that a task is over its budget denies nothing of the task that the chat claimed since", async () => {
  const { one, member, answer } = await secondTaskDuringHeartbeat({ tokens: 1_000 }, {});
  await answer();
  expect(member.tasks.list()).toMatchObject([{ body: { task: 2 } }]);
  expect(denied(one)).toBeUndefined();
});

it("a late answer that lets a task go on lifts no limit of the task that the chat claimed since", async () => {
  const { one, answer } = await secondTaskDuringHeartbeat({}, { tokens: 500 });
  answered(one, 500);
  expect(denied(one)).toBe("deny");
  await answer();
  expect(denied(one)).toBe("deny");
});

/** As the recorded hooks of each client name SHIM's tools. */
const toolForms: Readonly<Record<HookClient, readonly string[]>> = {
  "claude-code": ["mcp__shim__TOOL", "mcp__plugin_shim_shim__TOOL"],
  codex: ["mcp__shim__TOOL"],
  copilot: ["shim-TOOL", "shim/TOOL"],
  opencode: ["shim_TOOL"],
  qwen: ["mcp__shim__TOOL"],
  gemini: ["mcp_shim_TOOL"],
};

it("at the limit each tool of SHIM stays open under the name of every client, and so does the search for it", async () => {
  for (const client of ["codex", "copilot", "qwen", "gemini"] as const) {
    const { payload } = recording(client, client === "gemini" ? "AfterTool-mcp" : "PreToolUse-mcp");
    expect(payload["tool_name"]).toBe(toolForms[client][0]?.replace("TOOL", "shim_brief"));
  }
  expect(Object.keys({ ...machineTools, ...teamTools }).toSorted()).toEqual(ownTools.toSorted());
  const { one } = await withTask({ tokens: 1_000 });
  answered(one, 1_000);
  const forms = Object.values(toolForms).flat();
  const given = forms.flatMap((form) => ownTools.map((tool) => form.replace("TOOL", tool)));
  expect([...given, "ToolSearch", "tool_search"].filter((tool) => denied(one, tool) !== undefined)).toEqual([]);
  // What only has a similar name is denied.
  const foreign = "evil_shim_report_x mcp__other__shimmer mcp__shim__run xshim_report shim_ shim_hook shim_report()";
  for (const tool of [...foreign.split(" "), "Bash", "mcp__shim__shim_report\n"])
    expect([tool, denied(one, tool)]).toEqual([tool, "deny"]);
});
