import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aProject, evolve, expectClean, wait } from "#harness/evolution/evolve-home.ts";
import { seeded } from "#harness/evolution/sample-project.ts";
import { failed, printed } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import type { EvolveReport } from "#src/code/evolution/run.ts";

const timeout = 300_000;

it("seeded defects are fixed on branches, which a person accepts or rejects @night", { timeout }, async () => {
  const home = aProject(seeded);
  const { project } = home;
  const head = git(project, "rev-parse", "HEAD");
  const plan = await evolve(home, "--dry-run");
  expect(plan).toMatchObject(printed("3 changes to try"));
  expectClean(home, 0);
  const report = (await evolve(home, "--json")).json() as unknown as EvolveReport;
  const named = report.tried.map(({ outcome, what, task, branch }) => ({ text: `${outcome} ${what}`, task, branch }));
  expect(named.map(({ text }) => text).toSorted()).toEqual([
    "kept 2 × knip exports in src/math.ts",
    "kept oxlint eslint(no-unused-vars) in src/index.ts:1",
    "kept oxlint eslint(no-var) in src/index.ts:5",
  ]);
  expect(report).toMatchObject({ isEnded: true, stopped: null, findings: { before: 5 } });
  expect(report.facts?.notes).toContain("1 need a worker, which is not set up.");
  expectClean(home, 3);
  expect(git(project, "rev-parse", "HEAD")).toBe(head);
  const [unused, used, lint] = ["knip", "no-unused", "no-var"].map((word) => {
    const found = named.find(({ text }) => text.includes(word));
    if (!found) throw new Error(`nothing was tried for ${word}`);
    return found;
  });
  expect(git(project, "show", `${unused?.branch}:src/math.ts`)).toBe(
    "export function add(a: number, b: number): number {\n  return a + b;\n}\n\nexport function sub(a: number, b: number): number {\n  return a - b;\n}\n",
  );
  // Chats see it, too: the job's result is the report.
  const { result } = await home.json(`task show ${report.job}`);
  expect(result).toMatchObject({
    job: report.job,
    tried: [{ outcome: "kept" }, { outcome: "kept" }, { outcome: "kept" }],
  });
  expect(await home.shim("code evolve report")).toMatchObject(printed("3 kept"));

  const decide = (...args: string[]): ReturnType<typeof home.shim> => home.shim("code evolve review", ...args);
  const [first = "", second = "", third = ""] = [unused, used, lint].map((one) => String(one?.task));
  expect(await decide()).toMatchObject(printed(first, second, third));
  expect(await decide("--accept", first)).toMatchObject(printed("is deleted"));
  expect(await decide("--accept", second)).toMatchObject({ code: 0 });
  expect(readFileSync(join(project, "src/math.ts"), "utf8")).not.toContain("dead");
  expect(await decide("--reject", third)).toMatchObject(failed(2, "reason"));
  await decide("--reject", third, "--reason", "we like var");
  expect(await home.json("code evolve review")).toEqual({ offered: [] });
  // What has become unused in turn is the next run's.
  expect(await evolve(home, "--dry-run")).toMatchObject(printed("1 change to try", "exports in src/math.ts"));
});

it("Ctrl-C while a run is planned ends it, says so, and leaves nothing @night", { timeout }, async () => {
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
