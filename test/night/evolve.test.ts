import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aProject, evolve, expectClean } from "#harness/evolution/evolve-home.ts";
import { branches, seeded } from "#harness/evolution/sample-project.ts";
import { printed } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import type { OutputOf } from "#src/contract/operations.ts";
import type { EvolveReport } from "#src/evolution/run.ts";

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
  "[EV211] unused names of which one is used by its name are rejected together; the next run tries each alone @night",
  { timeout },
  async () => {
    const home = aProject(byName);
    const tried = async (): Promise<EvolveReport["tried"]> =>
      ((await evolve(home, "--json")).json() as unknown as EvolveReport).tried;
    expect(await tried()).toMatchObject([
      {
        outcome: "rejected",
        what: "3 × oxlint eslint(no-unused-vars), exports in src/index.ts",
        why: expect.stringMatching(/^the tests fail/),
      },
    ]);
    expectClean(home, 0);
    const again = await tried();
    expect(again.map(({ outcome, what }) => `${outcome} ${what}`).toSorted()).toEqual([
      "kept knip exports in src/parts.ts:5",
      "kept oxlint eslint(no-unused-vars) in src/index.ts:1",
      "rejected knip exports in src/parts.ts:3",
    ]);
    expectClean(home, 2);
    for (const { task, outcome } of again)
      if (outcome === "kept") await home.shim(`code evolve review --accept ${task}`);
    expect(readFileSync(join(home.project, "src/parts.ts"), "utf8")).toBe('export const second = "second";\n');
    expect(await evolve(home, "--dry-run")).toMatchObject(printed("0 changes to try"));
    expect(await evolve(home, "--dry-run", "--retry")).toMatchObject(printed("1 change to try"));
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
