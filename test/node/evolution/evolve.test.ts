import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aProject, evolve, expectClean, wait } from "#harness/evolution/evolve-home.ts";
import { branches, seeded } from "#harness/evolution/sample-project.ts";
import { failed, printed } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import type { EvolveReport } from "#src/evolution/run.ts";

const timeout = 300_000;

it(
  "[EV1] [EV4] [EV10] [EV11] [EV12] [EV15] [EV201] seeded defects are fixed on branches, which a person accepts or rejects @night",
  { timeout },
  async () => {
    const home = aProject(seeded);
    const { project } = home;
    const head = git(project, "rev-parse", "HEAD");
    const plan = await evolve(home, "--dry-run");
    expect(plan).toMatchObject(printed("2 changes to try"));
    expect(plan.out).toMatch(/value \S+ = severity \d+ × hotspot \S+ ÷ effort 1/);
    expectClean(home, 0);
    const report = (await evolve(home, "--json")).json() as unknown as EvolveReport;
    expect(report.tried.map(({ outcome, what }) => `${outcome} ${what}`)).toEqual([
      "kept 3 × oxlint eslint(no-unused-vars), exports in src/index.ts",
      "kept oxlint eslint(no-var) in src/index.ts:5",
    ]);
    expect(report).toMatchObject({ isEnded: true, stopped: null, findings: { before: 5, afterAllKept: 1 } });
    expect(report.facts?.reported).toMatchObject([{ method: "worker", subject: "types" }]);
    expectClean(home, 2);
    expect(git(project, "rev-parse", "HEAD")).toBe(head);
    const [unused, lint] = report.tried.map(({ task }) => String(task));
    expect(git(project, "show", `${report.tried[0]?.branch}:src/math.ts`)).toBe(
      "export function add(a: number, b: number): number {\n  return a + b;\n}\n",
    );
    // Chats see it, too: the job's result is the report.
    const { result } = await home.json(`task show ${report.job}`);
    expect(result).toMatchObject({ job: report.job, tried: [{ outcome: "kept" }, { outcome: "kept" }] });
    expect(await home.shim("code evolve report")).toMatchObject(printed("2 kept"));

    expect(await home.shim("code evolve review")).toMatchObject(printed(`${unused}`, `${lint}`));
    expect(await home.shim(`code evolve review --accept ${unused}`)).toMatchObject(printed("is deleted"));
    expect(branches(project)).toEqual([report.tried[1]?.branch]);
    expect(readFileSync(join(project, "src/math.ts"), "utf8")).not.toContain("dead");
    expect(await home.shim(`code evolve review --reject ${lint}`)).toMatchObject(failed(2, "reason"));
    await home.shim(`code evolve review --reject ${lint} --reason`, "we like var");
    expect(await home.json("code evolve review")).toEqual({ offered: [] });
    expect(await evolve(home, "--dry-run")).toMatchObject(printed("0 changes to try"));
  },
);

it("[EV105] Ctrl-C while a run is planned ends it, says so, and leaves nothing @night", { timeout }, async () => {
  const home = aProject(seeded);
  const end = new AbortController();
  const stderr = (text: string): void => {
    if (text.includes("Analysing")) end.abort();
  };
  const stopped = await home.shimWith({ interrupted: () => end.signal, wait, stderr }, "code evolve --trust --json");
  expect(stopped.code).toBe(130);
  expect(stopped.out + stopped.err).not.toContain("bug in SHIM");
  expectClean(home, 0);
});
