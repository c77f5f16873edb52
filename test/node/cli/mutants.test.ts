import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";

// Of Stryker 10.1.1.
const recorded = readFileSync(join(import.meta.dirname, "../../harness/mutation/recorded/stryker.json"), "utf8");

it("a report of Stryker is read: survivors fail, and what is no report is refused", async () => {
  const home = aCliHome();
  expect(await home.shim("code mutants")).toMatchObject(failed(2, "npx stryker run --reporters json"));
  write(home.project, { "reports/mutation/mutation.json": recorded, "other.json": "{}" });
  const read = await home.shim("code mutants src/price.ts");
  expect(read).toMatchObject({ code: 1, out: expect.stringContaining("3:7  ConditionalExpression: price < 0 ->") });
  expect(await home.json("code mutants")).toMatchObject({ files: [{ file: "src/price.ts" }] });
  expect(await home.shim("code mutants src/none.ts")).toMatchObject(failed(2, "has no file src/none.ts"));
  expect(await home.shim("code mutants --report other.json")).toMatchObject(failed(2, "another form"));
  write(home.project, { "fine.json": '{"files":{"a.ts":{"source":"","mutants":[]}}}' });
  expect(await home.shim("code mutants --report fine.json")).toMatchObject(printed("a.ts: 0 survived"));
});
