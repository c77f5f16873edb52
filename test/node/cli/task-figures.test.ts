import { expect, it } from "vitest";
import { aCliHome, failed, printed, withRuntime, type CliHome } from "#harness/machine/cli-home.ts";
import { given } from "#harness/coordinator/peers.ts";
import { write } from "#harness/machine/git-project.ts";
import { submit, submitPlan, Worker } from "#harness/worker/worker-rig.ts";
import type { InputOf } from "#src/contract/operations.ts";

it("the tree has each task once, below what waits for it, and the tasks of a job as its parts", async () => {
  const home = aCliHome();
  expect((await home.shim("task tree")).out).toBe("No task is open at this machine.\n");
  await submitPlan(home, [
    { ref: "lexer", type: "code" },
    { ref: "parser", type: "code", dependsOn: ["lexer"] },
    { type: "test", dependsOn: ["lexer", "parser"] },
    { type: "docs", dependsOn: ["parser"] },
  ]);
  new Worker(home).take().done();
  const test = "3 test: blocked\n├─ 1 code (lexer): done\n└─ 2 code (parser): queued\n   └─ 1 code (lexer): done\n";
  expect((await home.shim("task tree")).out).toBe(`${test}4 docs: blocked\n└─ 2 code (parser): queued (see above)\n`);
  expect((await home.shim("task tree 3")).out).toBe(test);
  expect((await home.shim("task tree 1")).out).toBe("1 code (lexer): done\n");
  expect(await home.json("task tree 1")).toMatchObject({ roots: [1], tasks: [{ task: 1, dependsOn: [] }] });
  expect(await home.shim("task tree 7")).toMatchObject(failed(3, "there is no task 7, or it is no longer kept"));
  await home.misuses("task tree", [
    ["x", "task: must be a number."],
    ["--limit 3", "unknown option"],
  ]);
  const files = "files: [{path: a/a.ts}, {path: b/b.ts}]";
  write(home.project, { "job.yaml": `title: both\ntext: |\n  - one\n  - two\n${files}\n` });
  await home.shim("task jobs submit job.yaml --type code --split --join-rule collect");
  const job = "5 code (join): blocked\n├─ 6 code (part-1): queued\n└─ 7 code (part-2): queued\n";
  expect((await home.shim("task tree")).out.endsWith(`(see above)\n${job}`)).toBe(true);
  given(home.coordinator().call("tasks.submit", { tasks: [{ type: "sub", parent: 4 }] }));
  const docs = /^4 docs: blocked\n├─ 2 code .*\n│ {2}└─ 1 .*\n└─ 8 sub: queued\n$/;
  expect((await home.shim("task tree 4")).out).toMatch(docs);
  new Worker(home).take().failed("no disk");
  home.now += 8 * 86_400_000;
  home.coordinator().settle();
  expect((await home.shim("task tree 2")).out).toBe("2 code (parser): dead\n└─ 1 no longer kept\n");
});

it("of more than a thousand tasks the tree leaves the rest out, the figures are of the newest ten thousand, and both say so", async () => {
  const home = aCliHome();
  const coordinator = home.coordinator();
  const add = (type: string) =>
    given(coordinator.call("tasks.submit", { tasks: Array.from({ length: 1_000 }, () => ({ type })) }));
  add("t");
  const whole = (await home.shim("task tree")).out;
  expect([whole.split("\n").length, whole.endsWith("\n1000 t: queued\n")]).toEqual([1_001, true]);
  new Worker(home).take().done();
  await submit(home, "u --depends-on 1");
  const cut = "1001 u: queued\n└─ 1 left out\nThere are more than 1000 tasks; the rest is left out.\n";
  expect((await home.shim("task tree")).out.endsWith(`\n1000 t: queued\n${cut}`)).toBe(true);
  for (let n = 0; n < 9; n++) add("v");
  const figures = /\nt +999 .*\nu +1 .*\nv +9000 .*\nOf the newest 10000 tasks only\.\n$/;
  expect(await home.shim("task stats")).toMatchObject(printed(figures));
});

it("the figures of each type: how many wait, since when, and how long they waited and ran", async () => {
  const home = aCliHome();
  const figures = async () => (await home.shim("task stats")).out.replaceAll(/ {2,}/g, " | ").split("\n").slice(0, -1);
  expect(await figures()).toEqual(["No tasks."]);
  for (const type of ["build", "build", "lint"]) await submit(home, type);
  home.now += 10_000;
  const worker = new Worker(home);
  const first = worker.take();
  home.now += 20_000;
  const second = worker.take();
  const heading = "TYPE | QUEUED | OLDEST | RUNNING | DONE | DEAD | DONE/H | WAIT P50/P95 | RUN P50/P95";
  const lint = "lint | 1 | 30 s | 0 | 0 | 0 | 0 | - | -";
  const waits = "10 s / 30 s";
  expect(await figures()).toEqual([heading, `build | 0 | - | 2 | 0 | 0 | 0 | ${waits} | -`, lint]);
  first.done();
  second.failed("no disk");
  expect(await figures()).toEqual([heading, `build | 0 | - | 0 | 1 | 1 | 1 | ${waits} | 20 s / 20 s`, lint]);
  home.now += 3_600_001;
  expect((await figures())[1]).toBe(`build | 0 | - | 0 | 1 | 1 | 0 | ${waits} | 20 s / 20 s`);
  const types = [{ type: "lint", queued: 1 }];
  expect(await home.json("task stats --type lint")).toMatchObject({ types, isAll: true });
  expect(await home.json("task stats --type other")).toEqual({ types: [], isAll: true });
});

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

it("a routed type has its tiers and what an accepted task costs, one without a route its models alone", async () => {
  const home = aCliHome();
  const none =
    "No routed attempt has ended. `claude.route` in the settings of a worker routes tasks; `shim task routing <type>` shows the models of others.\n";
  for (const type of ["", "fix"]) expect((await home.shim(`task routing ${type}`)).out).toBe(none);
  expect(await home.json("task routing")).toEqual({ types: [] });
  const tier = { tier: "small", model: "claude-haiku-5-5", effort: null, band: "usual" } as const;
  doTask(home, { route: { ...tier, reason: "chosen", isCounted: true } });
  doTask(home, { ran: { model: "claude-opus-5-5", effort: "high", source: "default" } }, "docs");
  doTask(home, { ran: { model: "claude-opus-5-5", effort: null, source: "default" }, usage: { wallMs: 1 } }, "docs");
  const out = async (command: string): Promise<string> => (await home.shim(command)).out.replaceAll(/ {2,}/g, " | ");
  const columns = "TIER | MODEL | BAND | TRIED | DONE | AT LEAST | MEAN COST";
  expect(await out("task routing")).toBe(`Tasks of the type fix: first attempts by tier
${columns}
small | claude-haiku-5-5 | usual | 1 | 100 % | 38 % | $0.0025
1 routed task, 1 of them accepted: $0.0025 for each accepted one, with all attempts.
`);
  expect(await out("task routing docs")).toBe(`All attempts of the type docs, by model:
MODEL | CHOSEN BY | ATTEMPTS | DONE | MEAN COST
claude-opus-5-5 | no route | 1 | 1 | not known
claude-opus-5-5, high | no route | 1 | 1 | $0.0025
`);
  expect(await out("task routing other")).toBe(none);
  doTask(home, { route: { ...tier, reason: "escalated", isCounted: true } }, "lint");
  expect(await out("task routing lint")).toBe(`Tasks of the type lint: first attempts by tier
None whose tier was a choice.
1 routed task, 1 of them accepted: $0.0025 for each accepted one, with all attempts.
`);
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
