import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import type { EvolveReport } from "#src/evolution/report.ts";
import { branches, complexFiles, extraWorktrees, seeded, writeSample } from "#harness/evolution/sample-project.ts";
import { failed, printed, type CliHome } from "#harness/machine/cli-home.ts";
import { git } from "#harness/machine/git-project.ts";
import { aWorkerHome } from "#harness/worker/cli-worker.ts";

const timeout = 300_000;

function aProject(files: Readonly<Record<string, string>>): CliHome {
  const home = aWorkerHome();
  Object.assign(home.runtime.env, { PATH: `${dirname(process.execPath)}:${home.runtime.env["PATH"]}` });
  writeSample(home.project, files);
  return home;
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** Nobody presses Ctrl-C. */
function evolve(home: CliHome, ...args: string[]): ReturnType<CliHome["shim"]> {
  return home.shimWith({ interrupted: () => new AbortController().signal, wait }, "code evolve --trust", ...args);
}

/** Neither worktrees nor branches but those that are offered. */
function expectClean({ project, paths }: CliHome, kept: number): void {
  expect([extraWorktrees(project), branches(project).length]).toEqual([0, kept]);
  const left = readdirSync(join(paths.home, "work")).filter((name) => /^(?:task|transform)-/.test(name));
  expect(left).toEqual([]);
}

it(
  "[EV1] [EV4] [EV10] [EV11] [EV12] [EV15] [EV201] seeded defects are fixed on branches, which a person accepts or rejects",
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
  "[EV211] [EV213] of unused exports of which one is used by name, the others are removed and one is rejected",
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

it("[EV211] [EV214] of two fixes of a linter of which one breaks a test the other is kept", { timeout }, async () => {
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
});

it(
  "[EV18] [EV201] a change of a file that another chat has reserved waits until it is free, at no cost; an accepted one's branch stays while it has other commits",
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
    const io = { interrupted: () => new AbortController().signal, wait: untilFree };
    const report = (await home.shimWith(io, "code evolve --trust --json")).json() as unknown as EvolveReport;
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

it("[EV105] Ctrl-C while a run is planned ends it, says so, and leaves nothing", { timeout }, async () => {
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

it("[EV16] tests come that notice mutants of the hottest files", { timeout }, async () => {
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
