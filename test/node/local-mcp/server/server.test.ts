import { expect, it } from "vitest";
import { instructions } from "#src/local-mcp/front/instructions.ts";
import { estimateTokens } from "#src/local-mcp/signals/tokens.ts";
import { add } from "#src/store/notices.ts";
import { aProject, Claude, rowCount } from "#harness/machine/claude.ts";
import { aDeadChat, connect, eras } from "#harness/machine/mcp-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const names = [
  "shim_auto_checkpoint",
  "shim_check_recovery",
  "shim_clear_state",
  "shim_force_checkpoint",
  "shim_monitor_signals",
  "shim_session_status",
];

it("[MC1] clients of both eras of the protocol, and of the first SDK, list and call the six tools", async () => {
  for (const era of eras) {
    const { client, call, answers } = await connect(tempRuntime(), { era });
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name).sort(), era).toEqual(names);
    const saved = await call("shim_force_checkpoint", { goal: "fix it" });
    expect(saved, era).toMatchObject({ isError: false, output: { isNew: true, redactions: 0 } });
    const status = await call("shim_session_status");
    expect(status, era).toMatchObject({
      output: { session: saved.output["session"], client: "tester", checkpoints: 1 },
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(answers(), era).toBe(2);
    expect(client.getServerVersion(), era).toMatchObject({ name: "shim", version: "1.2.3" });
  }
});

it("[MC23] every tool has a title, a description, all four annotations and both schemas; only one destroys", async () => {
  const { client } = await connect(tempRuntime());
  const { tools } = await client.listTools();
  for (const tool of tools) {
    expect(tool.title, tool.name).toMatch(/\w/);
    expect(tool.description, tool.name).toMatch(/\w/);
    expect(Object.keys(tool.annotations ?? {}).sort(), tool.name).toEqual([
      "destructiveHint",
      "idempotentHint",
      "openWorldHint",
      "readOnlyHint",
    ]);
    expect(tool.inputSchema).toMatchObject({ type: "object", additionalProperties: false });
    expect(tool.outputSchema).toMatchObject({ type: "object" });
    expect(Object.keys(tool.inputSchema.properties ?? {}), tool.name).toContain("session");
  }
  const destructive = tools.filter((tool) => tool.annotations?.destructiveHint).map(({ name }) => name);
  expect(destructive).toEqual(["shim_clear_state"]);
});

it("[MC2] the whole list of tools costs a chat less than 3,000 tokens, counted for the newest models", async () => {
  for (const era of eras) {
    const { client } = await connect(tempRuntime(), { era });
    expect(estimateTokens(JSON.stringify(await client.listTools()), "claude-opus-5-5"), era).toBeLessThan(3_000);
  }
});

it("[MC4] the instructions are under 2 KB, also when they tell of a session that died", async () => {
  const runtime = tempRuntime();
  const plain = instructions(runtime);
  await aDeadChat(runtime, `say "</system>" ${"and more ".repeat(50)}`);
  const told = instructions(runtime);
  expect(told).toMatch(
    /^SHIM: an earlier chat \("say \/system and more [^"<>]*"\) died 60 s ago\. Call shim_check_recovery before anything else\.\n/,
  );
  expect(told.endsWith(plain)).toBe(true);
  expect(Buffer.byteLength(told)).toBeLessThan(2_048);
  const { client } = await connect(runtime);
  expect(client.getInstructions()).toBe(told);
});

it("[MC4] where hooks tell of it, or it died long ago, the instructions do not; reading them stores nothing", () => {
  const runtime = tempRuntime();
  instructions(runtime);
  expect(rowCount(runtime, "sessions")).toBe(0);
  const dead = new Claude(runtime, { cwd: aProject() });
  dead.prompt("fix it");
  dead.kill();
  expect(instructions({ ...runtime, env: { CLAUDE_CODE_SESSION_ID: "s" } })).not.toContain("died");
  runtime.wait(8 * 86_400_000);
  expect(instructions(runtime)).not.toContain("SHIM: an earlier chat");
});

it("[MC4] [RE16] what hooks have seen in a project is told there, not to a client without hooks", () => {
  const runtime = tempRuntime();
  const dead = new Claude(runtime, { cwd: aProject() });
  dead.prompt("fix it");
  dead.kill();
  expect(instructions(runtime)).not.toContain("SHIM: an earlier chat");
});

it("[MC4] a store that cannot be read is said there, too", () => {
  const runtime = tempRuntime();
  const store = Object.create(runtime.store) as typeof runtime.store;
  store.read = () => {
    throw new Error("the disk is on fire ".repeat(200));
  };
  const text = instructions({ ...runtime, store });
  expect(text).toMatch(/^SHIM: saving may be broken \(the disk is on fire/);
  expect(Buffer.byteLength(text)).toBeLessThan(2_048);
  expect(runtime.logged).toHaveLength(1);
});

it("[MC6] input that a tool does not take is answered as its error, saying what is wrong, and stores nothing", async () => {
  const runtime = tempRuntime();
  for (const era of eras) {
    const { call } = await connect(runtime, { era });
    const bad: [string, Record<string, unknown>, RegExp][] = [
      ["shim_session_status", { sesion: "s" }, /sesion/],
      ["shim_force_checkpoint", { done: "not a list" }, /done/],
      ["shim_force_checkpoint", { goal: "g".repeat(4_001) }, /goal/],
      ["shim_auto_checkpoint", { doing: 7 }, /doing/],
      ["shim_monitor_signals", { contextTokens: -1 }, /contextTokens/],
      ["shim_clear_state", { scope: "all", confirm: "yes, delete" }, /scope/],
      ["shim_clear_state", { scope: "session", id: "s" }, /confirm/],
    ];
    for (const [tool, input, problem] of bad) {
      const answer = await call(tool, input);
      expect(answer.isError, tool).toBe(true);
      expect(answer.text, tool).toMatch(problem);
    }
  }
  expect(rowCount(runtime, "sessions")).toBe(0);
});

it("[MC6] a store that takes nothing is said in the answer; a bug is logged and named as one; the process goes on", async () => {
  const runtime = tempRuntime();
  const { call } = await connect(runtime);
  await call("shim_force_checkpoint", { goal: "one" });
  const lock = tempRuntime({ beside: runtime }).store.connection();
  const impatient = tempRuntime({ beside: runtime, busyMs: 20 });
  const other = await connect(impatient, { serverPid: 501, clientPid: 401 });
  lock.run("BEGIN IMMEDIATE");
  expect(await other.call("shim_force_checkpoint", { goal: "two" })).toMatchObject({
    isError: true,
    text: expect.stringMatching(/^store_locked: Nothing was saved\. .*Tell the user\.$/s) as string,
  });
  lock.run("ROLLBACK");
  expect(await other.call("shim_force_checkpoint", { goal: "two" })).toMatchObject({ isError: false });
  const chat = other.chat;
  chat.enter = () => {
    throw new TypeError("a bug");
  };
  expect(await other.call("shim_session_status")).toMatchObject({
    isError: true,
    text: expect.stringMatching(/^internal: /) as string,
  });
  expect(impatient.logged.some((line) => line.includes("a bug"))).toBe(true);
});

it("[MC25] a notice of the store is in every answer until it is acknowledged", async () => {
  const runtime = tempRuntime();
  const { call } = await connect(runtime);
  runtime.store.write((sql) => add(sql, runtime.now(), "damage", "The file was damaged and set aside."));
  expect(await call("shim_session_status")).toMatchObject({
    text: expect.stringMatching(/^NOTICE: The file was damaged/) as string,
    output: { notices: ["The file was damaged and set aside."] },
  });
  expect((await call("shim_check_recovery", { of: "unknown" })).text).toMatch(/^NOTICE: /);
  const cleared = await call("shim_clear_state", { scope: "notices", confirm: "yes, delete" });
  expect(cleared.output).toMatchObject({ deleted: 1 });
  expect((await call("shim_session_status")).text).not.toContain("NOTICE");
});

it("[MC24] an unknown tool and an unknown resource are refused by the protocol", async () => {
  for (const era of eras) {
    const { client } = await connect(tempRuntime(), { era });
    await expect(client.callTool({ name: "shim_nothing", arguments: {} })).rejects.toThrow(/not found/);
    await expect(client.readResource({ uri: "shim://sessions/unknown" })).rejects.toThrow(/not found/i);
    await expect(client.readResource({ uri: "shim://checkpoints/cp_1" })).rejects.toThrow(/not found/i);
  }
});
