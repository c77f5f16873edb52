import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, printed, withRuntime, type CliHome } from "#harness/machine/cli-home.ts";
import { aChat } from "#harness/machine/claude.ts";
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
Nothing says how hard it is, so the route of a worker takes its default tier: it states no files or kinds of work, and no earlier prompt of this machine is known.
${unknown}`,
  );
  const options = ["--model", "claude-opus-5-5", "--payload", JSON.stringify(text)];
  const priced = await home.shimWith(home.priced, "task estimate fix", ...options);
  const tokens = "The payload has about 1,500 tokens (909 to 2,475), about $0.0060.\nBy your price of $4 ";
  expect(priced).toMatchObject(printed(tokens));
  expect(await home.shim("task estimate fix --model gpt-5")).toMatchObject(printed(unset));
  await home.misuses("task estimate", [
    ["", "say what is to be done, or name a type"],
    ["fix --payload {x", "It is not JSON"],
    ["fix --payload 1 --payload-file p.json", "give one payload"],
  ]);
  expect(await home.json("task list")).toMatchObject({ tasks: [] });
});

it("the estimate says by how many earlier prompts it judges, how sure that is, and that it has nothing", async () => {
  const home = aCliHome();
  const { runtime, claude } = aChat();
  claude.start();
  const release = (version: number, edits = 1): void => {
    claude.prompt(`Release version 1.${version} and set the tag`);
    for (let at = 0; at < edits; at++) claude.write(join(claude.cwd, `f${at}.ts`), `${version}`);
    claude.stop();
  };
  const estimated = async (text: string): Promise<string> =>
    (await home.shimWith(withRuntime(runtime), "task estimate", text)).out;
  for (let version = 0; version < 4; version++) release(version);
  const few = "only 4 of 4 earlier prompts here are written like it, where 5 would say something.";
  expect(await estimated("Release version 1.9 and set the tag")).toContain(few);
  expect(await estimated("Rewrite the engine")).toContain("none of 4 earlier prompts here is written like it.");
  release(4);
  expect(await estimated("Release version 1.9 and set the tag")).toContain(
    "It looks like little work, so the route of a worker takes the cheapest tier that is proven: 5 of 5 earlier prompts here are written like it, and all of these were little work (fewer than 25 calls and 4 edited files). In a measurement 1 of 144 such was more.\n",
  );
  release(5, 4);
  expect(await estimated("Release version 1.9 and set the tag")).toContain(
    "takes its default tier: it states no files or kinds of work, and 6 of 6 earlier prompts here are written like it, and only 5 of these were little work",
  );
});
