import { expect, it } from "vitest";
import { WorkerMachine } from "#harness/claude/claude-workers.ts";
import { bash } from "#harness/claude/claude-rig.ts";

const route = {
  tiers: [
    { name: "medium", model: "claude-sonnet-5-5", effort: "low" },
    { name: "large", model: "claude-opus-5-5", effort: "high" },
  ],
  default: "medium",
};
const done = { text: 'It is done.\n{"shim":"done","result":1}' };
const request = "Make it so";

/** Model and effort of each request of the conversation. */
function asked(machine: WorkerMachine): unknown[] {
  const loops = machine.model.requests.filter(({ kind }) => kind === "loop");
  return loops.map(({ body }) => {
    const { model, output_config: output } = body as { model: string; output_config?: { effort?: string } };
    return [model, output?.effort];
  });
}

it("a stalled run is stopped, and the next is of the next tier, in a new session @night", async () => {
  const again = bash("ls");
  const machine = await WorkerMachine.with([again, again, again, done, done], { allowedTools: ["Bash(ls)"], route });
  const task = machine.submit(request, { backoff: { baseMs: 0 } });
  expect(await machine.worker("--max-tasks", "2").ended).toBe(0);
  expect(machine.ask("tasks.get", { task })).toMatchObject({ state: "done" });
  const { attempts } = machine.ask("tasks.history", { task, limit: 10 });
  expect(attempts.map(({ end, reason }) => [end, reason])).toEqual([
    ["done", null],
    ["failed", "stalled: Bash was called 3 times with the same arguments"],
  ]);
  const models = asked(machine);
  expect(models[0]).toEqual(["claude-sonnet-5-5", "low"]);
  expect(models.at(-1)).toEqual(["claude-opus-5-5", "high"]);
  const sessions = machine.rig.sessions();
  expect(sessions).toHaveLength(2);
  const { routes } = machine.ask("tasks.routes", { type: "fix" });
  expect(routes).toMatchObject({ tiers: [] });
});
