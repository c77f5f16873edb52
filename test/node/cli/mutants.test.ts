import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { complexFiles, extraWorktrees, writeSample } from "#harness/evolution/sample-project.ts";
import { failed, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { commitAll, write } from "#harness/machine/git-project.ts";
import { installStryker } from "#harness/mutation/fake-stryker.ts";
import { aWorkerHome } from "#harness/worker/cli-worker.ts";
import type { MutantsReport } from "#src/mutation/stryker.ts";

const timeout = 300_000;

function aProject(isNoticed?: string): CliHome {
  const home = aWorkerHome();
  Object.assign(home.runtime.env, { PATH: `${dirname(process.execPath)}:${home.runtime.env["PATH"]}` });
  writeSample(home.project, complexFiles(["alpha", "beta"]));
  installStryker(home.project, isNoticed);
  return home;
}

function mutants(home: CliHome, command: string): ReturnType<CliHome["shim"]> {
  return home.shimWith({ interrupted: () => new AbortController().signal }, `code mutants ${command}`);
}

it(
  "[MU1] [MU31] the project's Stryker names survivors of the last commit, and nothing is left behind",
  { timeout },
  async () => {
    const home = aProject();
    write(home.project, { "src/alpha.ts": "not committed" });
    const text = await mutants(home, "src/alpha.ts --trust");
    expect(text).toMatchObject({ code: 1, out: expect.stringMatching(/^src\/alpha\.ts: 6 survived, 0 noticed/) });
    expect(text.out).toContain("  2:19  BlockStatement: return -> (nothing)\n");
    expect(text.out).toContain("1 path with changes that are not committed");
    const shown = await mutants(home, "src/alpha.ts src/beta.ts --trust --json");
    const report = shown.json() as unknown as MutantsReport;
    expect(report.files.map(({ file, counts }) => [file, counts.survived])).toEqual([
      ["src/alpha.ts", 6],
      ["src/beta.ts", 6],
    ]);
    expect(extraWorktrees(home.project)).toBe(0);
  },
);

it("[MU31] where every mutant is noticed the exit code is 0 @night", { timeout }, async () => {
  expect(await mutants(aProject("true"), "src/alpha.ts --trust")).toMatchObject({
    code: 0,
    out: "src/alpha.ts: 0 survived, 6 noticed by a test.\n",
  });
});

it(
  "[MU1] the project's own configuration counts, as JSON or as code, but for the report @night",
  { timeout },
  async () => {
    for (const [name, text] of [
      ["stryker.conf.json", '{ "jsonReporter": { "fileName": "elsewhere.json" }, "isBroken": false }'],
      ["stryker.config.mjs", "export default { isBroken: true };\n"],
    ] as const) {
      const home = aProject();
      write(home.project, { [name]: text });
      commitAll(home.project, "configured");
      const tried = await mutants(home, "src/alpha.ts --trust");
      if (name.endsWith(".json")) expect(tried.out).toContain("6 survived");
      else expect(tried).toMatchObject(failed(1, "failed tests in the initial test run"));
    }
  },
);

it("[MU10] [MU31] what cannot be judged is refused with the reason, and no code runs without trust", async () => {
  const home = aProject();
  expect(await mutants(home, "src/alpha.ts")).toMatchObject(failed(1, "--trust"));
  expect(await mutants(home, "none.ts --trust")).toMatchObject(failed(2, "there is no"));
  expect(await mutants(home, "package.json --trust")).toMatchObject(failed(2, "no file of JavaScript or TypeScript"));
  write(home.project, { "src/new.ts": "export const one = 1;\n" });
  expect(await mutants(home, "src/new.ts --trust")).toMatchObject(failed(1, "src/new.ts is not in the last commit"));
  write(home.project, { "part/package.json": "{}", "part/one.ts": "export const one = 1;\n" });
  expect(await mutants(home, "src/alpha.ts part/one.ts --trust")).toMatchObject(failed(2, "of several packages"));
  expect(extraWorktrees(home.project)).toBe(0);
});

it("[MU1] where Stryker is not installed the package is named", async () => {
  const home = aWorkerHome();
  writeSample(home.project, complexFiles(["alpha"]));
  expect(await mutants(home, "src/alpha.ts --trust")).toMatchObject(
    failed(1, "npm install --save-dev @stryker-mutator/core"),
  );
});

it("[MU6] [MU31] with a report of Stryker nothing is run", async () => {
  const home = aProject();
  const recorded = join(import.meta.dirname, "../../harness/mutation/recorded/stryker.json");
  write(home.project, { "src/price.ts": "" });
  const read = await mutants(home, `src/price.ts --report ${recorded}`);
  expect(read).toMatchObject({ code: 1, out: expect.stringContaining("3:7  ConditionalExpression: price < 0 ->") });
  expect(await mutants(home, `src/alpha.ts --report ${recorded}`)).toMatchObject(printed("src/alpha.ts: 0 survived"));
  expect(await mutants(home, "src/alpha.ts --report none.json")).toMatchObject(failed(2, "there is no report"));
  expect(await mutants(home, "src/alpha.ts --report package.json")).toMatchObject(failed(2, "another form"));
});
