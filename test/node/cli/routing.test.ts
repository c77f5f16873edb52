import { expect, it } from "vitest";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";
import { aCliHome, type CliHome } from "#harness/machine/cli-home.ts";

it("without a routed attempt the report says so", async () => {
  const home = aCliHome();
  expect((await home.shim("task routing")).out).toContain("No routed attempt has ended.");
  expect((await home.shim("task routing fix")).out).toContain("No routed attempt has ended.");
  expect(await home.json("task routing")).toEqual({ types: [] });
});

/** One task of the type fix that ends done, with what its worker reports. */
function doTask(home: CliHome, reported: Pick<InputOf<"tasks.ack">, "ran" | "route">): void {
  const coordinator = home.coordinator();
  const call = <Name extends OperationName>(name: Name, input: InputOf<Name>): OutputOf<Name> => {
    const answer = coordinator.call(name, input);
    if (!answer.ok) throw new Error(`${name}: ${answer.error.message}`);
    return answer.value;
  };
  const chat = { chat: "c", session: "s", process: "boot-1:9:s9", machine: "here", client: "test" };
  const { incarnation } = call("chats.register", chat);
  const self = { chat: "c", incarnation };
  call("tasks.submit", { tasks: [{ type: "fix" }] });
  const [held] = call("tasks.claim", { self, requestId: "r1" }).claims;
  const usage = { wallMs: 1, tokens: 10, costMicros: 2_500 };
  call("tasks.ack", { self, task: held?.task ?? 0, claim: held?.claim ?? 0, usage, ...reported });
}

it("a routed type has its tiers and what an accepted task costs", async () => {
  const home = aCliHome();
  const tier = { tier: "small", model: "claude-haiku-5-5", effort: null, band: "usual" } as const;
  doTask(home, { route: { ...tier, reason: "chosen", isCounted: true } });
  const { out } = await home.shim("task routing");
  expect(out).toMatch(/small +claude-haiku-5-5 +usual +1 +100 % +\d+ % +\$0\.0025/);
  expect(out).toContain("1 routed task, 1 of them accepted: $0.0025 for each accepted one");
  expect((await home.shim("task estimate fix")).out).toContain("1 routed tasks of the type fix cost $0.0025");
});

it("the models of a type without a route are shown, and are no report of routing", async () => {
  const home = aCliHome();
  doTask(home, { ran: { model: "claude-opus-5-5", effort: null, source: "default" } });
  expect((await home.shim("task routing")).out).toContain("No routed attempt has ended.");
  const { out } = await home.shim("task routing fix");
  expect(out).toContain("All attempts of the type fix, by model");
  expect(out).toMatch(/claude-opus-5-5 +no route +1 +1 +\$0\.0025/);
  expect(out).not.toContain("first attempts by tier");
  expect((await home.shim("task routing other")).out).toContain("No routed attempt has ended.");
});
