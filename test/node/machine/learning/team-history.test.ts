import { expect, it } from "vitest";
import type { OperationName } from "#src/contract/operations.ts";
import type { Workspace } from "#src/machine/operations/operation-context.ts";
import { readTeam } from "#src/machine/learning/team-history.ts";
import { err, ok } from "#src/shared/result.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { ask, given } from "#harness/coordinator/state-calls.ts";

/** As a command of an admin has it; without the operations that its token may not ask. */
function linkTo(host: RuleHost, forbidden: readonly OperationName[] = []): Pick<Workspace, "call"> {
  const call = async (name: never, input: never) =>
    forbidden.includes(name)
      ? err({ code: "forbidden", message: "the scope is too small" })
      : host.call(name, input, admin);
  return { call: call as unknown as Workspace["call"] };
}

const chat = { chat: "c1", session: "s1", process: "p1", machine: "m1", client: "claude-code" };

it("a team is read with the rights of an observer", async () => {
  const host = new LocalHost(openBetterSqlite3);
  await ask(host, "chats.register", { ...chat, capacity: 2, taskTypes: ["*"] });
  await ask(host, "tasks.submit", { tasks: [{ type: "build", capabilities: ["gpu"] }, { type: "test" }] });
  const team = given(await readTeam(linkTo(host, ["audit.list"]), host.now()));
  expect(team).toMatchObject({ models: [], chats: [{ capacity: 2, tasks: 0 }] });
  expect(team.taskTypes.find(({ type }) => type === "build")).toEqual({ type: "build", tasks: [], runP95Ms: null });
});

it("the outcomes of routed tasks are those of their models, by kind of task; an unknown cost compares nothing", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const link = linkTo(host);
  const tier = {
    tier: "small",
    model: "haiku",
    effort: null,
    band: "usual",
    tried: 60,
    succeeded: 55,
    meanCostMicros: 900,
  };
  const tiers = [
    tier,
    { ...tier, model: "opus", effort: "high", meanCostMicros: 9_000 },
    { ...tier, meanCostMicros: null },
  ];
  const call = async (name: OperationName, input: { type?: string }) => {
    if (name !== "tasks.routes") return link.call(name as never, input as never);
    return ok(input.type === undefined ? { types: ["fix"], routes: null } : { types: [], routes: { tiers } });
  };
  const team = given(await readTeam({ call: call as unknown as Workspace["call"] }, host.now()));
  expect(team.models).toEqual([
    { type: "fix, usual", model: "haiku", tasks: 60, accepted: 55, costMicros: 900 },
    { type: "fix, usual", model: "opus (high)", tasks: 60, accepted: 55, costMicros: 9_000 },
  ]);
  const refused = given(await readTeam(linkTo(host, ["tasks.routes"]), host.now()));
  expect(refused.models).toBeNull();
});

it("a coordinator that refuses is no part of the history", async () => {
  for (const name of ["chats.list", "tasks.load", "tasks.stats", "tasks.list"] as const) {
    const host = new LocalHost(openBetterSqlite3);
    expect(await readTeam(linkTo(host, [name]), host.now())).toMatchObject({ ok: false, error: { code: "forbidden" } });
  }
});
