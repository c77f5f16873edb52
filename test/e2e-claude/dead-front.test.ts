import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { childrenOf } from "#harness/claude/claude-code.ts";
import { bash, ClaudeRig, mcpOf, received } from "#harness/claude/claude-rig.ts";
import { killEvery } from "#harness/machine/process-tree.ts";

const clearLine = "\u0015";

/** The chat works at a task with a budget. */
function setBudget(rig: ClaudeRig, session: string): void {
  const database = new DatabaseSync(rig.paths.database, { timeout: 60_000 });
  const row = "(session, task, claim, startedAt, tokens, costMicros, limitTokens)";
  database.prepare(`INSERT INTO task_spending ${row} VALUES (?, 7, 1, 0, 0, 0, 1000000000)`).run(session);
  database.close();
}

it("[HO63] [HO64] [HO66] the terminal client gives a prompt back while the front is dead, and takes it after a reconnection @night", async () => {
  const rig = new ClaudeRig();
  const { claude, model } = await rig.terminal({
    steps: [bash("echo one"), { text: "One." }, bash("echo two"), { text: "Two." }, { text: "Three." }],
  });
  const claudePid = await claude.claudePid();
  const front = await mcpOf(claudePid);
  await claude.send("do the first thing");
  const { id } = await rig.begun();
  await rig.turns(id, 1);
  setBudget(rig, id);
  const kill = async (pid: number): Promise<void> => {
    killEvery([...childrenOf(pid), { pid }]);
    await rig.gone(pid);
  };
  await kill(front.pid);
  await claude.send("do the second thing");
  await claude.shows("/mcpreconnectplugin:shim:shim");
  const before = model.requests.length;
  // The client has put the prompt back into its line.
  claude.type(clearLine);
  await claude.shows("ctrl+ytopaste");
  await claude.send("/mcp reconnect plugin:shim:shim");
  // At once: the background work registers the next MCP process only some seconds later.
  await claude.shows("econnectedtoplugin:shim:shim");
  await claude.send("do the second thing");
  await rig.turns(id, 2);
  expect(rig.kinds(id).filter((kind) => kind === "tool_end")).toHaveLength(2);
  expect(rig.kinds(id).filter((kind) => kind === "prompt")).toHaveLength(2);
  expect(model.requests.length).toBeGreaterThan(before);
  await kill((await mcpOf(claudePid)).pid);
  await claude.send("do the third thing");
  await claude.shows("Originalprompt:dothethirdthing");
  claude.type("\r");
  await claude.shows("Three.");
  expect(received(model, -1)).toContain("do the third thing");
  claude.kill("SIGKILL");
});
