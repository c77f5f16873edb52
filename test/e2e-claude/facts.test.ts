import { join } from "node:path";
import { expect, it } from "vitest";
import { usageBy } from "#src/machine/usage/usage-report.ts";
import { defaults } from "#src/contract/config.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import { git } from "#harness/machine/git-project.ts";
import { bash, call, ClaudeRig, endless, endlessTool, kill, received, shimTool } from "#harness/claude/claude-rig.ts";

const launcher = join(import.meta.dirname, "..", "..", "plugin", "launch.mjs");

it("saves the files before a command that throws edits away, so that they can be had back", async () => {
  const rig = new ClaudeRig();
  const edit = "echo 'export const half = true;' > one.ts";
  await rig.printed("tidy up", { steps: [bash(edit), bash("cd . && git checkout -- one.ts"), { text: "Done." }] });
  const [session] = rig.sessions();
  const { checkpoints, snapshots } = rig.stored(session!.id);
  const before = checkpoints.find(({ trigger }) => trigger === "before_tool");
  const snapshot = snapshots.find(({ checkpointId }) => checkpointId === before?.id);
  expect(snapshot).toMatchObject({ state: "done", reason: null });
  const repository = snapshot?.repository ?? "";
  expect(git(repository, "show", `${snapshot?.commit}:one.ts`)).toBe("export const half = true;\n");
  expect(git(rig.project, "status", "--porcelain")).toBe("");
});

it("counts what a real chat has used, records its death @night", async () => {
  const rig = new ClaudeRig();
  const usage = { input_tokens: 1_000, output_tokens: 20 };
  const chat = await rig.print("work", {
    steps: [{ ...bash("echo one"), usage }, bash("echo two"), endless],
  });
  await endlessTool(chat.claude);
  const store = new Store({ path: rig.paths.database, driver: openNodeSqlite, now: Date.now });
  const [line] = store.read((sql) => usageBy(sql, { by: "session", since: null }, defaults.usage), []);
  store.close();
  expect(line).toMatchObject({ key: rig.sessions()[0]!.id });
  expect(line?.input).toBeGreaterThanOrEqual(1_000);
  await kill(chat);
  await rig.until(line!.key!, (_, { crashes }) => crashes.length === 1, "the record of its death");
  await rig.printed("hello", { steps: [{ text: "Hello." }] });
  expect(rig.stored(line!.key!).crashes).toMatchObject([
    { cause: "killed", unsavedEvents: expect.any(Number) as number },
  ]);
});

it("asks the user before a switch to a model whose window is too small @night", async () => {
  const rig = new ClaudeRig();
  const usage = { input_tokens: 700_000, output_tokens: 20 };
  const chat = await rig.typed("fix the parser", { steps: [{ text: "Fixed.", usage }] });
  await rig.last(chat.id, "turn_end");
  await chat.claude.send("/model claude-haiku-4-5");
  const question =
    "SHIM:thischatholds700,020tokens,andclaude-haiku-4-5takes200,000:run/compactfirst,orstaywithclaude-opus-5-5.";
  await chat.claude.shows(question);
  expect(chat.claude.screen()).not.toContain("Setmodelto");
});

it("tool events reach SHIM through its MCP process, each once, and the model sees no tool of it", async () => {
  const rig = new ClaudeRig();
  const steps = [bash("sleep 1"), bash("exit 3"), call("Read", { file_path: rig.path("one.ts") }), { text: "Done." }];
  const { model } = await rig.printed("look around", { steps });
  const [session] = rig.sessions();
  expect(
    rig
      .kinds(session!.id)
      .filter((kind) => kind.startsWith("tool_"))
      .join(" "),
  ).toBe("tool_start tool_end tool_start tool_error tool_start tool_end");
  expect(session).toMatchObject({ toolCalls: 3, toolErrors: 1 });
  expect(JSON.stringify(model.requests.map(({ body }) => body?.["tools"]))).not.toContain("shim_hook");
  expect(received(model, -1)).not.toContain("SHIM: ");
});

it("a server that the user has registered by hand beside the plugin's neither replaces it nor counts twice @night", async () => {
  const rig = new ClaudeRig();
  const mcpServers = { mine: { type: "stdio", command: "node", args: [launcher, "mcp"] } };
  await rig.printed("look around", { mcpServers, steps: [bash("sleep 1"), bash("echo two"), { text: "Done." }] });
  const [session, ...others] = rig.sessions();
  expect(others).toEqual([]);
  expect(rig.kinds(session!.id).join(" ")).toBe(
    "start prompt tool_start tool_end tool_start tool_end assistant turn_end end",
  );
});

it("/shim:dismiss instructs the model, and the dead chat is not offered again @night", async () => {
  const rig = new ClaudeRig();
  await rig.killed("fix the parser", { steps: [bash("echo begun")] });
  const steps = [shimTool("shim_check_recovery", { dismiss: true }), { text: "It is not offered any more." }];
  const chat = await rig.printed("/shim:dismiss", { steps });
  expect(received(chat.model)).toContain("Say in one sentence which chat is not offered any more.");
  expect(rig.sessions()[0]?.recovery).toBe("dismissed");
});

it("a chat that asks for a permission waits for its user until that is given @night", async () => {
  const rig = new ClaudeRig();
  const command = `"${process.execPath}" "${launcher}" hook Notification`;
  const settings = { hooks: { Notification: [{ hooks: [{ type: "command", command, timeout: 10 }] }] } };
  const fetch = { tools: [{ name: "WebFetch", input: { url: "http://127.0.0.1:1/", prompt: "x" } }] };
  const args = ["--permission-mode", "default"];
  const { claude, id } = await rig.typed("look it up", { steps: [fetch, { text: "Done." }], settings, args });
  await rig.until(id, ({ waiting }) => waiting?.for === "permission", "the question");
  claude.type("\r");
  await rig.until(id, ({ waiting }) => waiting === undefined, "the answer");
});
