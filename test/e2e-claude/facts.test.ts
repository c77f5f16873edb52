import { expect, it } from "vitest";
import { usageBy } from "#src/local-mcp/usage/usage-report.ts";
import { defaults } from "#src/contract/config.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import { git } from "#harness/machine/git-project.ts";
import { bash, ClaudeRig, endless, endlessTool, kill } from "#harness/claude/claude-rig.ts";

it("[CP33] saves the files before a command that throws edits away, so that they can be had back", async () => {
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

it("[SI40] counts what a real chat has used, and [RE60] records its death", async () => {
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

it("[SI34] asks the user before a switch to a model whose window is too small", async () => {
  const rig = new ClaudeRig();
  const usage = { input_tokens: 700_000, output_tokens: 20 };
  const chat = await rig.terminal({ steps: [{ text: "Fixed.", usage }] });
  await chat.claude.send("fix the parser");
  const { id } = await rig.begun();
  await rig.last(id, "turn_end");
  await chat.claude.send("/model claude-haiku-4-5");
  const question =
    "SHIM:thischatholds700,020tokens,andclaude-haiku-4-5takes200,000:run/compactfirst,orstaywithclaude-opus-5-5.";
  await chat.claude.shows(question);
  expect(chat.claude.screen()).not.toContain("Setmodelto");
});
