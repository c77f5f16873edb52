import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as audit from "#src/machine/sessions/machine-audit.ts";
import { readConfig } from "#src/platform/config-file.ts";
import { pastChats } from "#harness/experiments/past-chats.ts";
import { aCliHome, aSeededHome, failed, printed, type CliHome } from "#harness/machine/cli-home.ts";

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

it("a step after which a death may lose more is taken only where a person says so", async () => {
  const home = aSeededHome();
  pastChats(home.runtime);
  const risky = "experiment start checkpoint.everyMs 400000";
  expect(await home.shim(risky)).toMatchObject(failed(1, "may lose more", "--less-safe"));
  expect(await home.shim(`${risky} --less-safe`)).toMatchObject(printed("50 % of new sessions"));
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

it("trials are listed, shown, stopped one by one or all, and allowed again @night", async () => {
  const home = aSeededHome();
  pastChats(home.runtime);
  expect(await home.shim("experiment list")).toMatchObject(printed("No experiment yet"));
  await home.shim("experiment start checkpoint.everyMs 250000 --reason", "to see");
  const { experiments } = (await home.json("experiment list")) as { experiments: { id: string }[] };
  const id = experiments[0]?.id ?? "";
  expect(await home.shim("experiment list")).toMatchObject(
    printed(id, "checkpoint.everyMs: 300000 -> 250000", "canary"),
  );
  expect(await home.shim(`experiment show ${id.slice(0, 7)}`)).toMatchObject(
    printed("Why: to see", "guardrails: sampleRatio, unsavedDeath", "canary: 50 % of new sessions"),
  );
  expect(await home.shim("experiment start checkpoint.everyToolCalls 8")).toMatchObject(failed(1, id, "Stop it first"));
  expect(await home.shim("experiment stop")).toMatchObject(failed(2, "--all"));
  expect(await home.shim("experiment stop exp_none")).toMatchObject(failed(3, "there is no experiment"));
  expect(await home.shim("experiment stop --all")).toMatchObject(printed("1 experiment stopped"));
  expect(await home.shim(`experiment stop ${id}`)).toMatchObject(failed(1, "has ended: stopped"));
  expect(await home.shim("experiment start checkpoint.everyMs 250000")).toMatchObject(failed(1, "switched off"));
  expect(await home.shim("experiment allow")).toMatchObject(printed("may start again"));
  expect(await home.shim("experiment start checkpoint.everyMs 250000")).toMatchObject(printed("exp_"));
});

it("starts, stops and the switch are in the audit log; what was refused or over already is not @night", async () => {
  const home = aSeededHome();
  pastChats(home.runtime);
  const entries = (): unknown[] =>
    audit.listNewest(home.runtime, 20).map(({ kind, subject, actor, detail }) => [kind, subject, actor, detail]);
  const begin = async (): Promise<string> => {
    const { id } = (await home.json("experiment start checkpoint.everyMs 250000")) as { id: string };
    return id;
  };
  const by = ["command line", { result: "done" }];
  const first = await begin();
  await home.shim("experiment start checkpoint.everyToolCalls 8");
  await home.shim(`experiment stop ${first}`);
  await home.shim(`experiment stop ${first}`);
  await home.shim(`experiment revert ${first}`);
  await home.shim("experiment allow");
  expect(entries()).toEqual([
    ["experiment.stopped", first, ...by],
    ["experiment.started", first, ...by],
  ]);
  const second = await begin();
  await home.shim("experiment stop --all");
  await home.shim("experiment start checkpoint.everyMs 250000");
  await home.shim("experiment allow");
  expect(entries().slice(0, 4)).toEqual([
    ["experiments.allowed", "", ...by],
    ["experiment.stopped", second, ...by],
    ["experiments.off", "", ...by],
    ["experiment.started", second, ...by],
  ]);
});

it("replay says what a death loses, under the present and other settings", async () => {
  const home = aSeededHome();
  expect(await home.shim("experiment replay --since 2020-01-01")).toMatchObject(
    printed("a death loses no recorded event", "checkpoint.everyMs: 300000 -> 200000", "too few to say"),
  );
  expect(await home.shim("experiment replay --set redaction=1")).toMatchObject(failed(2, "cannot be replayed"));
  expect(await home.shim("experiment replay --set checkpoint.everyMs=often")).toMatchObject(failed(2, "no such value"));
  expect(await aCliHome().shim("experiment replay")).toMatchObject(printed("No recorded session"));
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

it("the report of a week is Markdown; a week that is none is wrong usage", async () => {
  const home = aSeededHome();
  expect(await home.shim("report")).toMatchObject(printed("# SHIM, 20", "## What died", "## What could be better"));
  expect(await home.shim("report --week 2026-W01")).toMatchObject(printed("# SHIM, 2026-W01", "No chat worked"));
  expect(await home.shim("report --week 2026-W99")).toMatchObject(failed(2, "is no week"));
  expect(await aCliHome().shim("report")).toMatchObject(failed(3, "nothing is stored"));
});
