import { expect, it } from "vitest";
import { aCliHome, failed, printed, withRuntime, type CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/peers.ts";
import { write } from "#harness/machine/git-project.ts";
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
const usual = "about 1,500 | 909 to 2,475 | ";
const unnamed = "No price: name the model with --model.";
const unset = "No price is set for gpt-5: set it with its date in usage.prices and usage.pricesAsOf.";
const priced = "By your price of $4 for a million input tokens, as of 2026-11-01.";

it.each([
  ["a.txt", [`a.txt | ${usual}-`], unnamed],
  ["- a.txt", [`stdin | ${usual}-`, `a.txt | ${usual}-`], unnamed],
  ["a.txt --model gpt-5", ["a.txt | about 1,000 | 606 to 1,650 | -"], unset],
  ["a.txt --model claude-opus-5-5-20261001", [`a.txt | ${usual}about $0.0060`], priced],
])(
  "`shim cost tokens %s` prints tokens with their range, and the user's price with its date",
  async (args, rows, note) => {
    const home = withPrices();
    const { code, out } = await home.shimWith({ ...home.priced, readInput: async () => text }, `cost tokens ${args}`);
    const lines = ["FILE | TOKENS | RANGE | PRICE", ...rows, note, ""];
    expect([code, out.replaceAll(/ {2,}/g, " | ").split("\n")]).toEqual([0, lines]);
  },
);

function withPrices() {
  const home = aCliHome();
  write(home.project, { "a.txt": text });
  const prices = { "claude-opus-5-5": { input: 4, output: 20, cacheRead: 0.2, cacheWrite: 5 } };
  const config = { ...home.runtime.config, usage: { prices, pricesAsOf: "2026-11-01" } };
  return Object.assign(home, { priced: withRuntime({ ...home.runtime, config }) });
}

it("what cannot be counted is refused, and a task is estimated alike and not submitted", async () => {
  const home = withPrices();
  expect(await home.shim("cost tokens a.txt gone.txt")).toMatchObject(failed(3, "there is no file ", "gone.txt."));
  expect(await home.shim("cost tokens .")).toMatchObject(failed(1, "is a folder. Name a file with text."));
  await home.misuses("cost tokens", [
    ["- -", "stdin (-) can be read once."],
    ["", "missing required argument 'files'"],
  ]);
  const file = { tokens: 1_500, low: 909, high: 2_475, dollars: null };
  expect(await home.json("cost tokens a.txt")).toMatchObject({ model: null, files: [{ file: "a.txt", ...file }] });
  const unknown = "What a task of the type fix costs in all is not known: none was routed and accepted.\n";
  const payload = JSON.stringify({ text: "Fix src/a.ts and add a test." });
  expect((await home.shim("task estimate fix --payload", payload)).out).toBe(
    `The payload has about 21 tokens (12 to 35).
No price: name the model with --model.
Kind test, complexity 3 of 10, evidence strong.
${unknown}`,
  );
  const options = ["--model", "claude-opus-5-5", "--payload", JSON.stringify(text)];
  const priced = await home.shimWith(home.priced, "task estimate fix", ...options);
  const tokens = "The payload has about 1,500 tokens (909 to 2,475), about $0.0060.\nBy your price of $4 ";
  expect(priced).toMatchObject(printed(tokens));
  await home.misuses("task estimate", [
    ["", "missing required argument 'type'"],
    ["fix --payload {x", "It is not JSON"],
    ["fix --payload 1 --payload-file p.json", "give one payload"],
  ]);
  expect(await home.json("task list")).toMatchObject({ tasks: [] });
});
