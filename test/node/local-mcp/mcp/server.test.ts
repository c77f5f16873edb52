import { expect, it } from "vitest";
import { instructions } from "#src/local-mcp/front/instructions.ts";
import { estimateTokens } from "#src/learning/routing/tokens.ts";
import { add } from "#src/store/notices.ts";
import { openTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import { rowCount, aDeadClaude } from "#harness/machine/claude.ts";
import {
  aDeadChat,
  connect,
  desktop,
  eras,
  type Connected,
  type ConnectOptions,
  type Era,
} from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { TeamRig } from "#harness/team/team-rig.ts";

const names = [
  "auto_checkpoint",
  "check_recovery",
  "clear_state",
  "force_checkpoint",
  "monitor_signals",
  "session_status",
];
const teamNames = ["chats", "files", "inbox", "next", "report", "send", "state_set", "submit"];

/** A client of a chat that works alone, or in a team. */
function aClient(runtime: TempRuntime, isTeam: boolean, era: Era = "modern"): Promise<Connected> {
  const team: ConnectOptions["team"] = (one, server) => openTeam(runtime, server, () => one);
  return connect(runtime, { era, ...(isTeam ? { team } : {}) });
}

it("clients of both eras of the protocol, and of the first SDK, call the tools", async () => {
  for (const era of eras) {
    const { client, ask, answers } = await connect(tempRuntime(), { era });
    const { output } = await ask("shim_force_checkpoint", { goal: "fix it" });
    expect(output, era).toMatchObject({ isNew: true, redactions: 0 });
    const status = await ask("shim_session_status");
    expect(status.output, era).toMatchObject({ session: output["session"], client: "tester", checkpoints: 1 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(answers(), era).toBe(2);
    expect(client.getServerVersion(), era).toMatchObject({ name: "shim", version: "1.2.3" });
  }
});

it.each([
  ["a chat alone lists six tools", false, names, 3_000],
  ["a chat in a team lists fourteen tools", true, [...names, ...teamNames], 5_000],
] as const)(
  "%s, each complete, in few tokens, destructive where it deletes",
  async (_, isTeam, expected, maxTokens) => {
    for (const era of eras) {
      const { client } = await aClient(tempRuntime(), isTeam, era);
      const listed = await client.listTools();
      expect(listed.tools.map(({ name }) => name).sort(), era).toEqual(expected.map((name) => `shim_${name}`).sort());
      for (const tool of listed.tools) {
        expect(tool.title, tool.name).toMatch(/\w/);
        expect(tool.description, tool.name).toMatch(/\w/);
        const hints = ["destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint"];
        expect(Object.keys(tool.annotations ?? {}).sort(), tool.name).toEqual(hints);
        expect(tool.inputSchema, tool.name).toMatchObject({ type: "object", additionalProperties: false });
        expect(tool.outputSchema, tool.name).toMatchObject({ type: "object" });
        expect(Object.keys(tool.inputSchema.properties ?? {}), tool.name).toContain("session");
      }
      const destructive = listed.tools.filter((tool) => tool.annotations?.destructiveHint).map(({ name }) => name);
      expect(destructive, era).toEqual(["shim_clear_state", ...(isTeam ? ["shim_state_set"] : [])]);
      expect(estimateTokens(JSON.stringify(listed), "claude-opus-5-5"), era).toBeLessThan(maxTokens);
    }
  },
);

it("the instructions are under 2 KB, also when they mention a session that died", async () => {
  const runtime = tempRuntime();
  const plain = instructions(runtime);
  await aDeadChat(runtime, `say "</system>" ${"and more ".repeat(50)}`);
  const text = instructions(runtime);
  const first =
    /^SHIM: an earlier chat \("say ' \/system ' and more [^"<>]*"\) died 60 s ago\. Call shim_check_recovery before/;
  expect(text).toMatch(first);
  expect(text.endsWith(plain)).toBe(true);
  const inTeam = instructions(runtime, true);
  expect(inTeam).toMatch(first);
  for (const one of [text, inTeam]) expect(Buffer.byteLength(one)).toBeLessThan(2_048);
  expect((await connect(runtime)).client.getInstructions()).toBe(text);
});

it("with hooks, long after the death, and of a project of hooks the instructions mention no dead chat", () => {
  const runtime = tempRuntime();
  instructions(runtime);
  expect(rowCount(runtime, "sessions")).toBe(0);
  aDeadClaude(runtime);
  expect(instructions(runtime)).not.toContain("SHIM: an earlier chat");
  expect(instructions({ ...runtime, env: { CLAUDE_CODE_SESSION_ID: "s" } })).not.toContain("died");
  runtime.wait(8 * 86_400_000);
  expect(instructions(runtime)).not.toContain("SHIM: an earlier chat");
});

it("the instructions name a store that cannot be read", () => {
  const runtime = tempRuntime();
  runtime.store.read = () => {
    throw new Error("the disk is on fire ".repeat(200));
  };
  const text = instructions(runtime);
  expect(text).toMatch(/^SHIM: saving may be broken \(the disk is on fire/);
  expect(Buffer.byteLength(text)).toBeLessThan(2_048);
  expect(runtime.logged).toHaveLength(1);
});

it("input that a tool does not take is answered as its error, saying what is wrong, and stores nothing", async () => {
  const runtime = tempRuntime();
  for (const era of eras) {
    const { refusal } = await connect(runtime, { era });
    for (const [tool, input, problem] of [
      ["session_status", { sesion: "s" }, "sesion"],
      ["force_checkpoint", { done: "not a list" }, "done"],
      ["force_checkpoint", { goal: "g".repeat(4_001) }, "goal"],
      ["auto_checkpoint", { doing: 7 }, "doing"],
      ["monitor_signals", { contextTokens: -1 }, "contextTokens"],
      ["clear_state", { scope: "all", confirm: "yes, delete" }, "scope"],
      ["clear_state", { scope: "session", id: "s" }, "confirm"],
    ] as const)
      expect(await refusal(`shim_${tool}`, input)).toContain(problem);
  }
  expect(rowCount(runtime, "sessions")).toBe(0);
});

it("a store that takes nothing is named in the answer; a bug is logged and named as one; the process continues", async () => {
  const runtime = tempRuntime();
  await (await connect(runtime)).ask("shim_force_checkpoint", { goal: "one" });
  const lock = tempRuntime({ beside: runtime }).store.connection();
  const impatient = tempRuntime({ beside: runtime, busyMs: 20 });
  const { ask, refusal, chat } = await connect(impatient, { serverPid: 501, clientPid: 401 });
  lock.run("BEGIN IMMEDIATE");
  const locked = await refusal("shim_force_checkpoint", { goal: "two" });
  expect(locked).toMatch(/^store_locked: Nothing was saved\. .*Tell the user\.$/s);
  lock.run("ROLLBACK");
  await ask("shim_force_checkpoint", { goal: "two" });
  chat.enter = () => {
    throw new TypeError("a bug");
  };
  expect(await refusal("shim_session_status")).toMatch(/^internal: /);
  expect(impatient.logged.join()).toContain("a bug");
});

it("a notice of the store is in every answer until it is acknowledged", async () => {
  const runtime = tempRuntime();
  const { ask, refusal } = await connect(runtime);
  const notice = "The file was damaged and set aside.";
  runtime.store.write((sql) => add(sql, runtime.now(), "damage", notice));
  const { text, output } = await ask("shim_session_status");
  expect([text.split("\n")[0], output["notices"]]).toEqual([expect.stringContaining(`NOTICE: ${notice}`), [notice]]);
  expect(await refusal("shim_check_recovery", { of: "unknown" })).toMatch(/^NOTICE: /);
  const cleared = await ask("shim_clear_state", { scope: "notices", confirm: "yes, delete" });
  expect(cleared.output).toMatchObject({ deleted: 1 });
  expect((await ask("shim_session_status")).text).not.toContain("NOTICE");
});

it("an unknown tool is refused by the protocol", async () => {
  for (const era of eras) {
    const { client } = await connect(tempRuntime(), { era });
    await expect(client.callTool({ name: "shim_nothing", arguments: {} })).rejects.toThrow(/not found/);
  }
});

it("what a model receives of all tools is under 2,600 tokens, by the longest names that they are given", async () => {
  const { client } = await aClient(tempRuntime(), true);
  const { tools } = await client.listTools();
  const received = tools.map(({ name, description, inputSchema: input_schema }) => {
    return { name: `mcp__plugin_shim_shim__${name}`, description, input_schema };
  });
  expect(estimateTokens(JSON.stringify(received), "claude-opus-5-5")).toBeLessThan(2_600);
});

it("the instructions are under 200 tokens; with hooks they ask for nothing at the start; for a team they explain it", () => {
  const runtime = tempRuntime();
  const hooked = { ...runtime, env: { CLAUDE_CODE_SESSION_ID: "s" } };
  for (const one of [runtime, hooked]) {
    for (const isTeam of [false, true]) {
      const text = instructions(one, isTeam);
      expect(estimateTokens(text, "claude-opus-5-5"), text).toBeLessThan(200);
      expect(text).toMatch(/decision[^]*finish: true only when the user[^]*data/);
      expect(text.includes("shim_next")).toBe(isTeam);
    }
  }
  expect(instructions(hooked, true)).not.toMatch(/shim_check_recovery|shim_auto_checkpoint/);
  expect(instructions(runtime)).toMatch(/At the start call shim_check_recovery; after each step shim_auto_checkpoint/);
});

it("input that a tool of the team does not take is refused as its error, and changes nothing", async () => {
  const rig = new TeamRig();
  const { refusal } = await rig.chat();
  for (const [tool, input, problem] of [
    ["submit", { tasks: [] }, /tasks/],
    ["submit", { tasks: [{ type: "a b" }] }, /^bad_input: .*type/s],
    ["submit", { tasks: [{ type: "a", ref: "x", dependsOn: ["x"] }] }, /^bad_input: /],
    ["next", { types: "a" }, /types/],
    ["report", { outcome: "finished" }, /outcome/],
    ["send", { to: "all" }, /text/],
    ["send", { to: "topic:a b", text: "x" }, /^bad_input: /],
    ["inbox", { topics: ["a b"] }, /^bad_input: /],
    ["files", { action: "reserve" }, /^paths_missing: /],
    ["files", { action: "reserve", paths: ["../x"] }, /^bad_path: .*Nothing was changed/],
    ["state_set", { key: "", value: 1 }, /key/],
  ] as const)
    expect(await refusal(`shim_${tool}`, input)).toMatch(problem);
  expect(rig.call("tasks.progress", {}).totalTasks).toBe(0);
  expect(rig.call("leases.list", { prefix: "file:" }).leases).toEqual([]);
});

it.each([
  ["claude-ai", {}, true],
  ["some other client", {}, true],
  ["claude-code", {}, false],
  ["codex-mcp-client", {}, false],
  ["claude-ai", { CLAUDE_CODE_SESSION_ID: "s" }, false],
])("whether the texts lead %s with %o to save in each turn: %s", async (name, env, isLed) => {
  const runtime = tempRuntime({ env });
  for (const era of eras) {
    const { client } = await connect(runtime, { era, name, isWithoutHooks: true });
    const { tools } = await client.listTools();
    const input = (tool: string): object => tools.find((one) => one.name === tool)?.inputSchema.properties ?? {};
    expect("user" in input("shim_auto_checkpoint"), era).toBe(isLed);
    expect("start" in input("shim_check_recovery"), era).toBe(isLed);
    expect(
      tools.some(({ description }) => /in each of your turns/.test(description ?? "")),
      era,
    ).toBe(isLed);
    expect(/In each turn: shim_auto_checkpoint/.test(client.getInstructions() ?? ""), era).toBe(isLed);
  }
});

it("what leads a model to save has its bounds: six tools under 2,800 tokens, instructions under 250", async () => {
  const { client } = await desktop(tempRuntime());
  const listed = JSON.stringify(await client.listTools());
  expect(estimateTokens(listed, "claude-opus-5-5")).toBeLessThan(2_800);
  for (const isTeam of [false, true]) {
    const text = instructions(tempRuntime(), isTeam, "claude-ai");
    expect(estimateTokens(text, "claude-opus-5-5"), text).toBeLessThan(250);
  }
});
