import { expect, it } from "vitest";
import { instructions } from "#src/local-mcp/front/instructions.ts";
import { openTeam } from "#src/local-mcp/server/chat/open-team.ts";
import { estimateTokens } from "#src/local-mcp/signals/tokens.ts";
import { aDeadChat, connect, eras } from "#harness/machine/mcp-client.ts";
import { TeamRig } from "#harness/team/team-rig.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const names = [
  "shim_auto_checkpoint",
  "shim_chats",
  "shim_check_recovery",
  "shim_clear_state",
  "shim_files",
  "shim_force_checkpoint",
  "shim_inbox",
  "shim_monitor_signals",
  "shim_next",
  "shim_report",
  "shim_send",
  "shim_session_status",
  "shim_state_set",
  "shim_submit",
];

it("[TE18] a chat in a team lists fourteen tools, complete and under 5,000 tokens", async () => {
  for (const era of eras) {
    const runtime = tempRuntime();
    const { client } = await connect(runtime, { era, team: (one, server) => openTeam(runtime, server, () => one) });
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name).sort(), era).toEqual(names);
    for (const tool of tools) {
      expect(tool.title, tool.name).toMatch(/\w/);
      expect(Object.keys(tool.annotations ?? {}), tool.name).toHaveLength(4);
      expect(tool.inputSchema, tool.name).toMatchObject({ type: "object", additionalProperties: false });
      expect(tool.outputSchema, tool.name).toMatchObject({ type: "object" });
      expect(Object.keys(tool.inputSchema.properties ?? {}), tool.name).toContain("session");
    }
    const tokens = estimateTokens(JSON.stringify({ tools }), "claude-opus-5-5");
    expect(tokens, era).toBeLessThan(5_000);
  }
});

it("[TE30] what a model receives of all tools is under 2,600 tokens", async () => {
  const runtime = tempRuntime();
  const { client } = await connect(runtime, { team: (one, server) => openTeam(runtime, server, () => one) });
  const { tools } = await client.listTools();
  const received = tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema }));
  expect(estimateTokens(JSON.stringify(received), "claude-opus-5-5")).toBeLessThan(2_600);
});

it("[TE30] the instructions are under 200 tokens; with hooks they ask for nothing at the start", () => {
  const runtime = tempRuntime();
  const hooked = { ...runtime, env: { CLAUDE_CODE_SESSION_ID: "s" } };
  for (const [one, isTeam] of [
    [runtime, false],
    [runtime, true],
    [hooked, false],
    [hooked, true],
  ] as const) {
    const text = instructions(one, isTeam);
    expect(estimateTokens(text, "claude-opus-5-5"), text).toBeLessThan(200);
    expect(text).toMatch(/decision[^]*finish: true only when the user[^]*data/);
  }
  expect(instructions(hooked, true)).not.toMatch(/shim_check_recovery|shim_auto_checkpoint/);
  expect(instructions(runtime)).toMatch(/At the start call shim_check_recovery; after each step shim_auto_checkpoint/);
});

it("[TE44] the instructions explain the team, and stay under 2 KB, also with a session that died", async () => {
  const runtime = tempRuntime();
  await aDeadChat(runtime, "and more ".repeat(50));
  const text = instructions(runtime, true);
  expect(text).toMatch(/^SHIM: an earlier chat/);
  expect(text).toContain("shim_next");
  expect(Buffer.byteLength(text)).toBeLessThan(2_048);
  expect(instructions(runtime)).not.toContain("shim_next");
});

it("[TE47] input that a tool of the team does not take is refused as its error, and changes nothing", async () => {
  const rig = new TeamRig();
  const { call } = await rig.chat();
  const bad: [string, Record<string, unknown>, RegExp][] = [
    ["shim_submit", { tasks: [] }, /tasks/],
    ["shim_submit", { tasks: [{ type: "a b" }] }, /^bad_input: .*type/s],
    ["shim_submit", { tasks: [{ type: "a", ref: "x", dependsOn: ["x"] }] }, /^bad_input: /],
    ["shim_next", { types: "a" }, /types/],
    ["shim_report", { outcome: "finished" }, /outcome/],
    ["shim_send", { to: "all" }, /text/],
    ["shim_send", { to: "topic:a b", text: "x" }, /^bad_input: /],
    ["shim_inbox", { topics: ["a b"] }, /^bad_input: /],
    ["shim_files", { action: "reserve" }, /^paths_missing: /],
    ["shim_files", { action: "reserve", paths: ["../x"] }, /^bad_path: .*Nothing was changed/],
    ["shim_state_set", { key: "", value: 1 }, /key/],
  ];
  for (const [tool, input, problem] of bad) {
    const answer = await call(tool, input);
    expect(answer, tool).toMatchObject({ isError: true, text: expect.stringMatching(problem) as string });
  }
  expect(rig.call("tasks.progress", {}).totalTasks).toBe(0);
  expect(rig.call("leases.list", { prefix: "file:" }).leases).toEqual([]);
});
