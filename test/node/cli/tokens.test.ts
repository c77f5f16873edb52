import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, failed, withRuntime } from "#harness/machine/cli-home.ts";

const prices = { input: 4, output: 20, cacheRead: 0.2, cacheWrite: 5 };

it("the tokens of files and of stdin, with their range; without prices this is said", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, "a.txt"), "word ".repeat(1_000));
  const { out } = await home.shim("cost tokens a.txt");
  expect(out).toMatch(/a\.txt +about 1,\d{3} +[\d,]+ to [\d,]+ +-/);
  expect(out).toContain("name the model with --model");
  expect((await home.shim("cost tokens a.txt --model claude-opus-5-5")).out).toContain(
    "No price is set for claude-opus-5-5: set it with its date in usage.prices and usage.pricesAsOf.",
  );
  const piped = await home.shimWith({ readInput: async () => "word ".repeat(1_000) }, "cost tokens - a.txt --json");
  const { files } = piped.json() as { files: { file: string; tokens: number }[] };
  expect(files.map(({ file }) => file)).toEqual(["-", "a.txt"]);
  expect(files[0]?.tokens).toBe(files[1]?.tokens);
  expect(await home.shim("cost tokens gone.txt")).toMatchObject(failed(3, "there is no file "));
  expect(await home.shim("cost tokens - -")).toMatchObject(failed(2, "stdin (-) can be read once."));
});

it("the price is the user's, with its date", async () => {
  const home = aCliHome();
  writeFileSync(join(home.project, "a.txt"), "word ".repeat(1_000));
  const usage = { prices: { "claude-opus-5-5": prices }, pricesAsOf: "2026-11-01" };
  const config = { ...home.runtime.config, usage };
  const given = withRuntime({ ...home.runtime, config });
  const { out } = await home.shimWith(given, "cost tokens a.txt --model claude-opus-5-5-20261001");
  expect(out).toMatch(/about \$0\.00\d\d/);
  expect(out).toContain("By your price of $4 for a million input tokens, as of 2026-11-01.");
});

it("a task is estimated, and not submitted", async () => {
  const home = aCliHome();
  const { out } = await home.shim("task estimate fix --payload", '{"text":"Fix src/a.ts and add a test."}');
  expect(out).toMatch(/^The payload has about \d+ tokens \(\d+ to \d+\)\.\n/);
  expect(out).toContain("Kind test, complexity 3 of 10, evidence strong.\n");
  expect(out).toContain("is not known: none was routed and accepted.\n");
  expect((await home.json("task list"))["tasks"]).toEqual([]);
});
