import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { MutantsReport } from "#src/mutation/find-survivors.ts";
import { complexFiles, extraWorktrees, writeSample } from "#harness/evolution/sample-project.ts";
import { failed, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { write } from "#harness/machine/git-project.ts";
import { aWorkerHome } from "#harness/worker/cli-worker.ts";

const timeout = 120_000;

function aProject(): CliHome {
  const home = aWorkerHome();
  Object.assign(home.runtime.env, { PATH: `${dirname(process.execPath)}:${home.runtime.env["PATH"]}` });
  writeSample(home.project, complexFiles(["alpha", "beta"]));
  return home;
}

function mutants(home: CliHome, command: string): ReturnType<CliHome["shim"]> {
  return home.shimWith({ interrupted: () => new AbortController().signal }, `code mutants ${command}`);
}

it(
  "[MU31] [MU4] survivors of files are named with their places, and nothing is left behind @night",
  { timeout },
  async () => {
    const home = aProject();
    write(home.project, { "src/alpha.ts": "not committed" });
    const text = await mutants(home, "src/alpha.ts --trust --max 5 --seed 3");
    expect(text).toMatchObject({ code: 1, out: expect.stringMatching(/^src\/alpha\.ts: \d+ survived, \d+ noticed/) });
    expect(text.out).toMatch(/^ {2}\d+:\d+ {2}\w+: .+ -> .+$/m);
    expect(text.out).toMatch(/5 of \d+ mutants were drawn, by the seed 3/);
    expect(text.out).toContain("1 path with changes that are not committed");
    const shown = await mutants(home, "src/alpha.ts src/beta.ts --trust --json --max 5 --seed 3");
    const report = shown.json() as unknown as MutantsReport;
    expect(report).toMatchObject({ version: 1, framework: "node:test", tried: 5, seed: 3, stoppedBy: null });
    expect(report.files.map(({ file }) => file)).toEqual(["src/alpha.ts", "src/beta.ts"]);
    for (const { counts, survivors } of report.files) expect(survivors).toHaveLength(counts.survived);
    const sum = report.files.flatMap(({ counts }) => Object.values(counts)).reduce((total, count) => total + count, 0);
    expect(sum).toBe(5);
    expect(extraWorktrees(home.project)).toBe(0);
  },
);

it(
  "[MU31] what cannot be judged is refused with the reason, and no code runs without trust @night",
  { timeout },
  async () => {
    const home = aProject();
    expect(await mutants(home, "src/alpha.ts")).toMatchObject(failed(1, "--trust"));
    expect(await mutants(home, "none.ts --trust")).toMatchObject(failed(2, "there is no"));
    expect(await mutants(home, "package.json --trust")).toMatchObject(failed(2, "no file of JavaScript or TypeScript"));
    write(home.project, { "src/new.ts": "export const one = 1;\n" });
    expect(await mutants(home, "src/new.ts --trust")).toMatchObject(failed(1, "src/new.ts is not in the last commit"));
    write(home.project, { "part/package.json": "{}", "part/one.ts": "export const one = 1;\n" });
    expect(await mutants(home, "src/alpha.ts part/one.ts --trust")).toMatchObject(failed(2, "of several packages"));
    expect(extraWorktrees(home.project)).toBe(0);
  },
);

it("[MU6] [MU31] with Stryker's report nothing is run @night", async () => {
  const home = aProject();
  const recorded = join(import.meta.dirname, "../../harness/mutation/recorded/stryker.json");
  write(home.project, { "src/price.ts": "" });
  const read = await mutants(home, `src/price.ts --stryker ${recorded}`);
  expect(read).toMatchObject({ code: 1, out: expect.stringContaining("3:7  ConditionalExpression: price < 0 ->") });
  expect(await mutants(home, `src/alpha.ts --stryker ${recorded}`)).toMatchObject(printed("src/alpha.ts: 0 survived"));
  expect(await mutants(home, "src/alpha.ts --stryker none.json")).toMatchObject(failed(2, "there is no report"));
  expect(await mutants(home, "src/alpha.ts --stryker package.json")).toMatchObject(failed(2, "another form"));
});
