import { TeamRig } from "#harness/team/team-rig.ts";
import { expect, it } from "vitest";
import { forAllAsync } from "#harness/properties.ts";
import { instructions } from "#src/local-mcp/mcp/server.ts";
import { estimateTokens } from "#src/machine/sessions/usage/tokens.ts";
import { add } from "#src/store/notices.ts";
import { openTeam } from "#src/local-mcp/mcp/chat/open-team.ts";
import { rowCount, aChat, aProject, storedSession, claimOf } from "#harness/machine/claude.ts";
import { aDeadChat, connect, desktop, eras, type Connected } from "#harness/machine/mcp-process.ts";
import { someReadings, tempRuntime, leaked } from "#harness/machine/temp-runtime.ts";
import { slashCommands, type SlashCommandName } from "#src/contract/slash-commands.ts";
import { userWords } from "#src/clients/adapter/harness-text.ts";
import { isRequest } from "#src/machine/sessions/work-state.ts";
import * as fc from "fast-check";
import * as audit from "#src/machine/sessions/machine-audit.ts";
import { isPurgePending } from "#src/machine/view/keeping/forget.ts";
import { machineTools } from "#src/contract/tools.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { pause } from "#src/store/pause.ts";

const alone = "auto_checkpoint check_recovery clear_state force_checkpoint monitor_signals recall session_status".split(
  " ",
);
const inTeam = [...alone, ..."chats files inbox next report send state_set submit".split(" ")];

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
  ["a chat alone lists seven tools", alone, 3_000],
  ["a chat in a team lists fifteen tools", inTeam, 5_000],
] as const)("%s, each complete, in few tokens, destructive where it deletes", async (_, expected, maxTokens) => {
  for (const era of eras) {
    const runtime = tempRuntime();
    const { client } = await connect(runtime, {
      era,
      team: (one, server) => (expected === inTeam ? openTeam(runtime, server, () => one) : null),
    });
    const listed = await client.listTools();
    expect(listed.tools.map(({ name }) => name).sort(), era).toEqual(expected.map((name) => `shim_${name}`).sort());
    for (const { name, title, description, annotations = {}, inputSchema, outputSchema } of listed.tools) {
      expect([title, description], name).toEqual([expect.stringMatching(/\w/), expect.stringMatching(/\w/)]);
      const hints = ["destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint"];
      expect(Object.keys(annotations).sort(), name).toEqual(hints);
      expect(inputSchema, name).toMatchObject({ type: "object", additionalProperties: false });
      expect(outputSchema, name).toMatchObject({ type: "object" });
      expect(Object.keys(inputSchema.properties ?? {}), name).toContain("session");
    }
    const destructive = listed.tools.filter((tool) => tool.annotations?.destructiveHint).map(({ name }) => name);
    expect(destructive, era).toEqual(["shim_clear_state", ...(expected === inTeam ? ["shim_state_set"] : [])]);
    expect(estimateTokens(JSON.stringify(listed), "claude-opus-5-5"), era).toBeLessThan(maxTokens);
  }
});

it("the instructions are under 2 KB, also when they mention a session that died or a store that cannot be read", async () => {
  const runtime = tempRuntime();
  const plain = instructions(runtime);
  await aDeadChat(runtime, `say "</system>" ${"and more ".repeat(50)}`);
  const text = instructions(runtime);
  const first =
    /^SHIM: an earlier chat \("say ' \/system ' and more [^"<>]*"\) died 60 s ago\. Call shim_check_recovery before/;
  expect(text).toMatch(first);
  expect(text.endsWith(plain)).toBe(true);
  const withTeam = instructions(runtime, true);
  expect(withTeam).toMatch(first);
  for (const one of [text, withTeam]) expect(Buffer.byteLength(one)).toBeLessThan(2_048);
  expect((await connect(runtime)).client.getInstructions()).toBe(text);
  runtime.store.read = () => {
    throw new Error("the disk is on fire ".repeat(200));
  };
  const broken = instructions(runtime);
  expect(broken).toMatch(/^SHIM: saving may be broken \(the disk is on fire/);
  expect(Buffer.byteLength(broken)).toBeLessThan(2_048);
  expect(runtime.logged).toHaveLength(1);
});

it("input that a tool does not take is answered as its error, saying what is wrong, and stores nothing", async () => {
  const { runtime, refusal } = await connect();
  for (const [tool, input, problem] of [
    ["session_status", { sesion: "s" }, "sesion"],
    ["force_checkpoint", { goal: "g".repeat(4_001) }, "goal"],
    ["auto_checkpoint", { doing: 7 }, "doing"],
    ["monitor_signals", { contextTokens: -1 }, "contextTokens"],
    ["clear_state", { scope: "all", confirm: "yes, delete" }, "scope"],
    ["clear_state", { scope: "session", id: "s" }, "confirm"],
  ] as const)
    expect(await refusal(`shim_${tool}`, input)).toContain(problem);
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
  const { runtime, ask, refusal } = await connect();
  const notice = "The file was damaged and set aside.";
  runtime.store.write((sql) => add(sql, runtime.now(), "damage", notice));
  const { text, output } = await ask("shim_session_status");
  expect([text.split("\n")[0], output["notices"]]).toEqual([expect.stringContaining(`NOTICE: ${notice}`), [notice]]);
  expect(await refusal("shim_check_recovery", { of: "unknown" })).toMatch(/^NOTICE: /);
  const cleared = await ask("shim_clear_state", { scope: "notices", confirm: "yes, delete" });
  expect(cleared.output).toMatchObject({ deleted: 1 });
  expect((await ask("shim_session_status")).text).not.toContain("NOTICE");
});

it.each([
  ["claude-ai", {}, true],
  ["some other client", {}, true],
  ["claude-code", {}, false],
  ["codex-mcp-client", {}, false],
  ["claude-ai", { CLAUDE_CODE_SESSION_ID: "s" }, false],
])("whether the texts lead %s with %o to save in each turn: %s", async (name, env, isLed) => {
  const { client } = await connect(tempRuntime({ env }), { name, isWithoutHooks: true });
  const { tools } = await client.listTools();
  const input = (tool: string): object => tools.find((one) => one.name === tool)?.inputSchema.properties ?? {};
  const texts = [client.getInstructions() ?? "", ...tools.map(({ description = "" }) => description)].join("\n");
  const areFields = ["user" in input("shim_auto_checkpoint"), "start" in input("shim_check_recovery")];
  const areSaid = [/in each of your turns/, /In each turn: shim_auto_checkpoint/].map((words) => words.test(texts));
  expect([...areFields, ...areSaid]).toEqual([isLed, isLed, isLed, isLed]);
});

const commands = Object.keys(slashCommands) as SlashCommandName[];

/** A client without hooks, in a chat that has worked. */
async function aWorkingChat() {
  const { runtime, claude } = aChat();
  claude.turn("fix the parser");
  return connect(runtime, { name: "some client", clientPid: claude.pid, isWithoutHooks: true });
}

async function prompt({ client }: Pick<Connected, "client">, name: string, words?: string): Promise<string> {
  const { messages } = await client.getPrompt({ name, ...(words === undefined ? {} : { arguments: { words } }) });
  expect(messages.map(({ role }) => role)).toEqual(["user"]);
  const content = messages[0]?.content;
  return content && "text" in content ? content.text : "";
}

it("a prompt has the steps of the command with the user's words, and exact commands for this machine", async () => {
  const chat = await aWorkingChat();
  const rows = rowCount(chat.runtime, "journal");
  const undo = await prompt(chat, "undo", " write the lex ");
  for (const text of [
    /^The user typed \/shim:undo write the lex, a command of SHIM\.\n/,
    /said about which one: "write the lex"/,
    /Run `.+ undo --diff --json` with the user's words/,
    /Only after a yes: `.+ undo --yes --json`/,
  ])
    expect(undo).toMatch(text);
  // OpenCode fills in the user's words afterwards.
  expect(await prompt(chat, "resume", "$1")).toContain('said about which one: "$1"');
  for (const name of commands) expect(await prompt(chat, name), name).not.toMatch(/\{given\}/);
  expect(rowCount(chat.runtime, "journal")).toBe(rows);
});

it("a prompt of SHIM's is its command in the journal, and no request of the user", async () => {
  const chat = await aWorkingChat();
  for (const name of commands)
    for (const words of "argument" in slashCommands[name] ? ["", "3 and more"] : [""]) {
      const text = await prompt(chat, name, words);
      const command = `/shim:${name} ${words}`.trim();
      // Gemini CLI and Qwen Code send JSON.
      for (const sent of [text, JSON.stringify(text)]) expect(userWords(sent)).toBe(command);
      expect(isRequest(command)).toBe(false);
    }
  expect(userWords("The user typed /shim:undo, a command of SHIM")).not.toBe("/shim:undo");
});

const confirm = "yes, delete";

it("a session that is said to be finished is not offered, and reading does not open it again; work does", async () => {
  const { runtime, call } = await desktop();
  const saved = await call("shim_force_checkpoint", { goal: "done with it", finish: true });
  expect(saved.text).toContain("marked finished");
  const id = String(saved.output["session"]);
  await call("shim_session_status");
  await call("shim_monitor_signals");
  expect(storedSession(runtime, id).ending?.reason).toBe("finished");
  await call("shim_auto_checkpoint", { doing: "one more thing" });
  expect(storedSession(runtime, id).ending).toBeNull();
});

it("a checkpoint is saved when something new is said or one is due, and says why not otherwise", async () => {
  const { runtime, ask } = await desktop();
  const saved = async (input = {}): Promise<unknown> => {
    const { output } = await ask("shim_auto_checkpoint", input);
    return [output["saved"], output["reason"]];
  };
  expect(await saved()).toEqual([false, "nothing to save yet"]);
  expect(await saved({ doing: "a", next: "b" })).toEqual([true, "on_demand"]);
  expect(await saved({ doing: "a", next: "b" })).toEqual([false, "unchanged"]);
  expect(await saved()).toEqual([false, "not due"]);
  runtime.wait(300_001);
  expect(await saved()).toEqual([false, "unchanged"]);
});

it("what cannot be saved is refused with what to do; nothing is half saved", async () => {
  const { runtime, ask, refusal } = await desktop(tempRuntime({ config: { checkpoint: { maxBytes: 5_000 } } }));
  expect(await refusal("shim_force_checkpoint")).toMatch(/^nothing_to_save: .*Give at least/);
  for (const [tool, input] of [
    ["shim_force_checkpoint", { state: { big: "x".repeat(6_000) } }],
    ["shim_auto_checkpoint", { next: "y".repeat(4_000), doing: "z".repeat(1_500) }],
  ] as const)
    expect(await refusal(tool, input)).toMatch(/^too_large: .*limit is 5000.*Shorten it/);
  const nested = (depth: number): unknown => (depth === 0 ? "end" : [nested(depth - 1)]);
  expect(await refusal("shim_force_checkpoint", { state: nested(500) })).toContain("nested deeper than");
  expect(rowCount(runtime, "checkpoints")).toBe(0);
  await ask("shim_force_checkpoint", { state: nested(50) });
});

it("deleting needs the words of consent and a name; it takes only what is named, after a backup, and leaves no purge", async () => {
  const runtime = tempRuntime();
  const dead = await aDeadChat(runtime);
  const { ask, refusal } = await desktop(runtime);
  const kept = await ask("shim_force_checkpoint", { goal: "kept" });
  const second = await ask("shim_force_checkpoint", { goal: "second" });
  expect(await refusal("shim_clear_state", { scope: "session", confirm })).toContain("id_missing");
  for (const scope of ["session", "checkpoint", "offer"])
    expect(await refusal("shim_clear_state", { scope, id: "unknown", confirm })).toContain("Nothing was deleted");
  const clear = async (scope: string, id: unknown): Promise<unknown> =>
    (await ask("shim_clear_state", { scope, id, confirm })).output;
  const backup = expect.stringContaining(runtime.paths.backups) as string;
  expect(await clear("checkpoint", second.output["checkpoint"])).toMatchObject({ deleted: 1, backup });
  expect(runtime.store.read(isPurgePending, true)).toBe(false);
  for (const deleted of [1, 0]) expect(await clear("offer", dead)).toMatchObject({ deleted });
  expect(claimOf(runtime, dead)?.is).toBe("dismissed");
  expect(await clear("session", dead)).toMatchObject({ deleted: 1 });
  expect(runtime.store.read((sql) => sessions.get(sql, dead), null)).toBeNull();
  expect(rowCount(runtime, "checkpoints")).toBe(1);
  expect((await ask("shim_session_status")).output).toMatchObject({ session: kept.output["session"], checkpoints: 1 });
  const logged = audit.listNewest(runtime, 10).map(({ kind, actor }) => `${kind} by ${actor}`);
  expect(logged).toEqual(["session.forgotten by chat", "checkpoint.forgotten by chat"]);
});

it("readings above their thresholds are reasons, each with its figures, its weight and how it is known", async () => {
  const { runtime, ask } = await desktop();
  const quiet = await ask("shim_monitor_signals");
  expect([quiet.text, quiet.output["reasons"]]).toEqual(["Risk 0 (safe). No reason above its threshold.", []]);
  const id = String(quiet.output["session"]);
  const readings = someReadings({ rateLimit: 0.954 }, runtime.now());
  runtime.store.write((sql) => sessions.update(sql, id, { readings }));
  const { text, output } = await ask("shim_monitor_signals", { contextTokens: 190_000 });
  const reasons = ["contextTokens 190000 over 150000 (+0.3, reported)", "rateLimit 0.95 over 0.9 (+0.2, measured)"];
  expect(text).toBe(`Risk 0.5 (warning). ${reasons.join("; ")}`);
  expect(output).toEqual({ session: id, risk: 0.5, level: "warning", reasons });
  expect((await ask("shim_auto_checkpoint", { detail: "detailed" })).output).toMatchObject({ risk: 0.5, reasons });
  expect((await ask("shim_auto_checkpoint")).output).not.toHaveProperty("reasons");
});

it("while SHIM is paused the tools store nothing and say so; deleting is still possible", async () => {
  const project = aProject();
  const { runtime, ask, refusal } = await connect(tempRuntime({ env: { CLAUDE_PROJECT_DIR: project } }));
  const id = await aDeadChat(tempRuntime({ beside: runtime }));
  runtime.store.write((sql) => pause(sql, runtime.now(), null, project));
  const before = rowCount(runtime, "sessions");
  for (const name of Object.keys(machineTools).filter((one) => one !== "shim_clear_state"))
    expect(await refusal(name), name).toContain("paused");
  expect(rowCount(runtime, "sessions")).toBe(before);
  expect((await ask("shim_clear_state", { scope: "session", id, confirm })).output).toMatchObject({ deleted: 1 });
});

it("a recipient that may be several chats is refused with their ids, and nothing is sent", async () => {
  const rig = new TeamRig();
  const chats = [await rig.chat("plan it"), await rig.chat("build it"), await rig.chat("build more")] as const;
  for (const chat of chats) await rig.time.until(chat.tick());
  expect(await chats[0].refusal("shim_send", { to: "build", text: "x" })).toContain("give more of the id");
  expect([await chats[1].news(), await chats[2].news()]).toEqual([[], []]);
});

it("a secret in any field of any tool is counted, and never stored; a mark that is longer than it breaks no limit", async () => {
  const runtime = tempRuntime();
  const token = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
  const { call, ask } = await connect(runtime, { name: `my ${token} client` });
  const line = `use ${token}`;
  const lists = { done: [line], inProgress: [line], decisions: [line], openQuestions: [line], files: [line] };
  const todos = [{ text: line, status: "pending" }];
  const notes = { goal: line, nextStep: line, ...lists, todos, state: { nested: [{ [token]: line }] } };
  expect((await ask("shim_force_checkpoint", notes)).output["redactions"]).toBe(10);
  await ask("shim_auto_checkpoint", { doing: line, next: line, project: `/x ${line}` });
  await call("shim_check_recovery", { session: line, of: line });
  expect(leaked(runtime, [token])).toEqual([]);
  const many = Array.from({ length: 120 }, (_, index) => `password=q${index}Zx9!`).join(" ");
  await ask("shim_force_checkpoint", { done: [many.slice(0, 2_000)], files: ["<private>/secret/place</private>"] });
});

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom("\u0000", "\ud800", "../../etc", "'; DROP TABLE sessions; --", "/nonexistent", "session", confirm),
);
const todo = fc.record({ text, status: fc.constantFrom("pending", "done") });
const anything = fc.oneof(text, fc.array(text), fc.array(todo), fc.jsonValue(), fc.boolean(), fc.double());

it("for any input a tool answers with what it promises or with a clear error, and the store stays whole @night", async () => {
  const { runtime, call } = await connect();
  const calls = Object.entries(machineTools).map(([tool, { input }]) => {
    const field = fc.constantFrom(...Object.keys(input.shape), "unknown");
    return fc.tuple(fc.constant(tool), fc.dictionary(field, anything, { maxKeys: 4 }));
  });
  await forAllAsync(400, [fc.oneof(...calls)], async ([tool, given]) => {
    const answer = await call(tool, given);
    // The client checks every answer without an error against the tool's output schema.
    if (answer.isError) expect(answer.text).toMatch(/^(Input validation error|[a-z_]+: )/);
    else expect(answer.output["session"]).toMatch(/\w/);
    expect(answer.text).not.toContain("internal:");
  });
  expect(runtime.logged).toEqual([]);
  expect(runtime.store.read((sql) => sql.all("PRAGMA integrity_check"), [])).toEqual([{ integrity_check: "ok" }]);
});
