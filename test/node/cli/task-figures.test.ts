import { expect, it } from "vitest";
import { aCliHome, printed, withRuntime, type CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/peers.ts";
import type { InputOf } from "#src/contract/operations.ts";

/** One task of the type fix that ends done, with what its worker reports. */
function doTask(home: CliHome, reported: Partial<InputOf<"tasks.ack">>, type = "fix"): void {
  const coordinator = home.coordinator();
  const chat = { chat: "c", session: "s", process: "boot-1:9:s9", machine: "here", client: "test" };
  const { incarnation } = given(coordinator.call("chats.register", chat));
  const self = { chat: "c", incarnation };
  given(coordinator.call("tasks.submit", { tasks: [{ type }] }));
  const [held] = given(coordinator.call("tasks.claim", { self, requestId: `r${home.now}` })).claims;
  const usage = { wallMs: 1, tokens: 10, costMicros: 2_500 };
  given(coordinator.call("tasks.ack", { self, task: held?.task ?? 0, claim: held?.claim ?? 0, usage, ...reported }));
  home.now += 1;
}

it("the estimate of a routed type says what an accepted task of it has cost", async () => {
  const home = aCliHome();
  const tier = { tier: "small", model: "claude-haiku-5-5", effort: null, band: "usual" } as const;
  doTask(home, { route: { ...tier, reason: "chosen", isCounted: true } });
  const past = "Measured: 1 routed task of the type fix cost $0.0025 for each accepted one.\n";
  expect(await home.shim("task estimate fix")).toMatchObject(printed(past));
});

const text = "word ".repeat(1_000);
const unset = "No price is set for gpt-5: set it with its date in usage.prices and usage.pricesAsOf.";

function withPrices() {
  const home = aCliHome();
  const prices = { "claude-opus-5-5": { input: 4, output: 20, cacheRead: 0.2, cacheWrite: 5 } };
  const config = { ...home.runtime.config, usage: { prices, pricesAsOf: "2026-11-01" } };
  return Object.assign(home, { priced: withRuntime({ ...home.runtime, config }) });
}

it("a task is estimated with its price and not submitted", async () => {
  const home = withPrices();
  const unknown = "What a task of the type fix costs in all is not known: none was routed and accepted.\n";
  const payload = JSON.stringify({ text: "Fix src/a.ts and add a test." });
  expect((await home.shim("task estimate fix --payload", payload)).out).toBe(
    `The payload has about 21 tokens (12 to 35).
No price: name the model with --model.
Its form does not say how hard it is: a route takes its default tier, unless five prompts like it were little work on the worker's machine.
${unknown}`,
  );
  const options = ["--model", "claude-opus-5-5", "--payload", JSON.stringify(text)];
  const priced = await home.shimWith(home.priced, "task estimate fix", ...options);
  const tokens = "The payload has about 1,500 tokens (909 to 2,475), about $0.0060.\nBy your price of $4 ";
  expect(priced).toMatchObject(printed(tokens));
  expect(await home.shim("task estimate fix --model gpt-5")).toMatchObject(printed(unset));
  await home.misuses("task estimate", [
    ["", "missing required argument 'type'"],
    ["fix --payload {x", "It is not JSON"],
    ["fix --payload 1 --payload-file p.json", "give one payload"],
  ]);
  expect(await home.json("task list")).toMatchObject({ tasks: [] });
});
