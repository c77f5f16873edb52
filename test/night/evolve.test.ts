import { join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import type { EvolveReport } from "#src/evolution/report.ts";
import { aProject, evolve, expectClean } from "#harness/evolution/evolve-home.ts";
import { branches, complexFiles, seeded } from "#harness/evolution/sample-project.ts";
import { printed } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";

const timeout = 300_000;

/**
 * Three exports that nothing seems to use, one of them once an unused import is gone. A test finds
 * another by a name that it computes.
 */
const byName = {
  "src/index.ts": `import { first } from "./parts.ts";

export const version = 1;
`,
  "src/parts.ts": ["first", "second", "third"].map((name) => `export const ${name} = "${name}";\n`).join("\n"),
  "src/index.test.ts": `import assert from "node:assert/strict";
import { test } from "node:test";
import "./parts.ts";
import { version } from "./index.ts";

test("version", () => assert.equal(version, 1));
test("by name", async () => {
  const parts = (await import(["./parts", "ts"].join("."))) as Record<string, unknown>;
  assert.equal(parts["second"], "second");
});
`,
};

it(
  "[EV211] [EV213] of unused exports of which one is used by name, the others are removed and one is rejected @night",
  { timeout },
  async () => {
    const home = aProject(byName);
    const report = (await evolve(home, "--json")).json() as unknown as EvolveReport;
    expect(report.tried.map(({ outcome, what }) => `${outcome} ${what}`)).toEqual([
      "kept 2 × oxlint eslint(no-unused-vars), exports in src/index.ts",
      "rejected knip exports in src/parts.ts:3",
    ]);
    expect(report).toMatchObject({ stopped: null, findings: { before: 3, afterAllKept: 1 } });
    const [kept, rejected] = report.tried;
    expect(rejected?.why).toMatch(/^the tests fail/);
    expect(git(home.project, "show", `${kept?.branch}:src/parts.ts`)).toBe('export const second = "second";\n');
    expectClean(home, 1);
    const { offered } = (await home.json("code evolve review")) as { offered: { what: string }[] };
    expect(offered.map(({ what }) => what)).toEqual([kept?.what]);
    expect(await home.shim(`code evolve review --accept ${kept?.task}`)).toMatchObject(printed("is deleted"));
    expect(await evolve(home, "--dry-run")).toMatchObject(printed("0 changes to try"));
    expect(await evolve(home, "--dry-run", "--retry")).toMatchObject(printed("1 change to try"));
  },
);

it(
  "[EV211] [EV214] of two fixes of a linter of which one breaks a test the other is kept @night",
  { timeout },
  async () => {
    const home = aProject({
      "src/index.ts": "export function sum(): number {\n  var one = 1;\n  var two = 2;\n  return one + two;\n}\n",
      "src/index.test.ts": `import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sum } from "./index.ts";

test("sum", () => assert.equal(sum(), 3));
test("text", () => assert.match(readFileSync(new URL("index.ts", import.meta.url), "utf8"), /var one/));
`,
    });
    const { tried } = (await evolve(home, "--json")).json() as unknown as EvolveReport;
    expect(tried.map(({ outcome, what }) => `${outcome} ${what}`)).toEqual([
      "kept oxlint eslint(no-var) in src/index.ts:3",
      "rejected oxlint eslint(no-var) in src/index.ts:2",
    ]);
    expect(git(home.project, "show", `${tried[0]?.branch}:src/index.ts`)).toContain("var one = 1;\n  const two = 2;\n");
    expectClean(home, 1);
  },
);

it(
  "[EV18] [EV201] a change of a file that another chat has reserved waits until it is free, at no cost; an accepted one's branch stays while it has other commits @night",
  { timeout },
  async () => {
    const home = aProject(seeded);
    const { project } = home;
    await home.shim("team files reserve src/math.ts");
    const waits: string[] = [];
    const untilFree = async (): Promise<void> => {
      const { tasks } = (await home.json("task list")) as unknown as OutputOf<"tasks.list">;
      waits.push(tasks.map(({ state, failures }) => `${state} ${failures}`).join(", "));
      await home.shim("team files release");
      home.now += 60_000;
    };
    let [freed, turns] = [Promise.resolve(), 0];
    const stderr = (text: string): void => {
      // The second turn finds the task that the first one has put off.
      if (text.includes("works as") && ++turns === 2) freed = untilFree();
    };
    const io = { interrupted: () => new AbortController().signal, stderr };
    const report = (await home.shimWith(io, "code evolve --trust --json")).json() as unknown as EvolveReport;
    await freed;
    expect(waits).toEqual(["scheduled 0, blocked 0, blocked 0"]);
    expect(report.tried.map(({ outcome }) => outcome)).toEqual(["kept", "kept"]);
    expectClean(home, 2);
    expect(await home.json("team files list")).toMatchObject({ files: [] });

    const [one, other] = report.tried.map(({ task, branch }) => ({ task, branch: branch ?? "" }));
    const head = git(project, "symbolic-ref", "--short", "HEAD").trim();
    git(project, "switch", "--quiet", one?.branch ?? "");
    git(project, "commit", "--quiet", "--allow-empty", "-m", "more");
    git(project, "switch", "--quiet", head);
    expect(await home.shim(`code evolve review --accept ${one?.task}`)).toMatchObject(printed("is left"));
    git(project, "worktree", "add", "--quiet", join(home.paths.home, "tree-of-a-user"), other?.branch ?? "");
    expect(await home.shim(`code evolve review --accept ${other?.task}`)).toMatchObject(printed("is left"));
    expect(new Set(branches(project))).toEqual(new Set([one?.branch, other?.branch]));
  },
);

it("[EV16] tests come that notice mutants of the hottest files @night", { timeout }, async () => {
  const home = aProject(complexFiles(["alpha"]));
  const report = (await evolve(home, "--json", "--only", "tests")).json() as unknown as EvolveReport;
  const kept = report.tried.filter(({ outcome }) => outcome === "kept");
  expect(kept).toMatchObject([
    {
      what: "tests for src/alpha.ts",
      verdict: { before: { tests: { ran: 2 } }, mutants: { killed: expect.toSatisfy((count: number) => count > 0) } },
    },
  ]);
  const [counted] = kept.map(({ verdict }) => verdict?.after?.tests?.ran);
  expect(counted).toBeGreaterThan(2);
  expectClean(home, 1);
});
