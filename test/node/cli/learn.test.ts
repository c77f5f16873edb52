import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as audit from "#src/machine/sessions/machine-audit.ts";
import { readConfig } from "#src/platform/config-file.ts";
import { pastChats, seedExperiments } from "#harness/experiments/trials.ts";
import { aSeededHome, failed, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { callAs, fakeBundle, servePage, signIn } from "#harness/web/live-page.ts";

function count(home: CliHome, table: string): number {
  return home.runtime.store.read((sql) => sql.all<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)[0]?.n ?? 0, 0);
}

it("a setting that no experiment changes, a step too far and a value that is none are wrong usage, with what to do", async () => {
  const home = aSeededHome();
  expect(await home.shim("experiment start team.strictFiles 1")).toMatchObject(
    failed(2, "never changed by experiments", "checkpoint.everyMs"),
  );
  expect(await home.shim("experiment start checkpoint.everyMs 10")).toMatchObject(failed(2, "between 30000 and"));
  expect(await home.shim("experiment start checkpoint.everyMs 100000")).toMatchObject(failed(2, "factor of 1.5"));
  expect(await home.shim("experiment start checkpoint.everyMs soon")).toMatchObject(failed(2));
  expect(count(home, "experiments")).toBe(0);
});

it("a trial that could not end on this machine is refused, with its figures and what to do instead", async () => {
  const home = aSeededHome();
  expect(await home.shim("experiment start checkpoint.everyMs 250000")).toMatchObject(
    failed(
      1,
      "nothing was started",
      "needs 400 new chats in 28 days, and this machine had 4 in the last 28",
      "shim experiment replay --set checkpoint.everyMs=250000",
      "shim config set checkpoint.everyMs 250000",
    ),
  );
  expect(count(home, "experiments")).toBe(0);
});

it("a dry run of the review changes nothing; a run writes the report of the last week once @night", async () => {
  const home = aSeededHome();
  const reports = join(home.paths.home, "reports");
  const stored = (): number[] => ["meta", "metric_totals", "experiments", "notices"].map((table) => count(home, table));
  const before = stored();
  expect(await home.shim("report run --dry-run")).toMatchObject(printed("finding", "kaizen apply"));
  expect(stored()).toEqual(before);
  expect(existsSync(reports)).toBe(false);
  expect((await home.shim("report run")).out).not.toContain("Report");
  home.now += 7 * 86_400_000;
  expect(await home.shim("report run")).toMatchObject(printed("Report: ", reports));
  expect((await home.shim("report run")).out).not.toContain("Report");
  expect(count(home, "experiments")).toBe(0);
  expect(readConfig(home.paths.config).ok).toBe(true);
});

it("a step after which a death may lose more is taken only where a person says so", async () => {
  const home = aSeededHome();
  pastChats(home.runtime);
  const risky = "experiment start checkpoint.everyMs 400000";
  expect(await home.shim(risky)).toMatchObject(failed(1, "may lose more", "--less-safe"));
  expect(await home.shim(`${risky} --less-safe`)).toMatchObject(printed("50 % of new sessions"));
});

it("experiments are ended and switched from the page once each, with an entry in the audit log", async () => {
  const home = aSeededHome();
  fakeBundle(home);
  const page = await servePage(home);
  const authorization = await signIn(page);
  const { running, kept } = seedExperiments(home.runtime);
  const twice = async (name: string, input: object, requestId: string) => {
    const run = () => callAs(page, authorization, { name, input, requestId });
    await run();
    return (await run()).value;
  };
  const hasEnded = { error: { code: "ended", message: expect.any(String) } };
  expect(await twice("experiments.stop", { experiment: kept }, "r0")).toMatchObject(hasEnded);
  expect(await twice("experiments.stop", { experiment: running }, "r1")).toMatchObject({ stopped: [{ id: running }] });
  expect(await twice("experiments.revert", { experiment: kept }, "r2")).toMatchObject({ state: "rolled back" });
  expect(await twice("experiments.revert", { experiment: kept }, "r3")).toMatchObject(hasEnded);
  await twice("experiments.stop", { all: true }, "r4");
  await twice("experiments.allow", {}, "r5");
  const entries = audit.listNewest(home.runtime, 20).filter(({ actor }) => actor === "live page");
  expect(entries.map(({ kind, subject }) => [kind, subject])).toEqual([
    ["experiments.allowed", ""],
    ["experiments.off", ""],
    ["experiment.reverted", kept],
    ["experiment.stopped", running],
  ]);
});
