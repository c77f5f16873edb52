import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { processesIn } from "#harness/machine/process-tree.ts";
import { astGrep } from "#harness/mutation/fake-tests.ts";
import { generateRequest, realDeps as deps, realLimits as limits, runTests } from "#harness/mutation/real-tests.ts";
import { priceProject, priceSource, projectFolder } from "#harness/mutation/tiny-project.ts";
import { findMutants } from "#src/mutation/find-mutants.ts";
import { generateTests, type GenerateRequest } from "#src/mutation/generate/generate-tests.ts";
import { judgeTests } from "#src/mutation/generate/judge.ts";
import { splitTests } from "#src/mutation/generate/split-tests.ts";
import type { Mutant } from "#src/mutation/mutant.ts";
import { runMutants, survivorsOf } from "#src/mutation/run-mutants.ts";

// Each mutant is a process; an endless one takes its whole time.
const timeout = 180_000;
const file = "src/price.ts";

function requestFor(root: string, survivors: readonly Mutant[]): GenerateRequest {
  return generateRequest(root, file, survivors);
}

/** Mutants by line and text. */
function mutants(...wanted: string[]): Mutant[] {
  const all = findMutants(astGrep, file, priceSource);
  return wanted.map((text) => {
    const found = all.find(({ range, before, after }) => `${range.line}: ${before} -> ${after}` === text);
    if (found === undefined) throw new Error(`no mutant ${text}`);
    return found;
  });
}

function filesOf(root: string): Record<string, string> {
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.includes("."));
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

it(
  "[MU5] [MU10] [MU11] [MU26] [MU28] weak tests leave survivors; recorded tests kill them, and nothing is left behind @night",
  { timeout },
  async () => {
    const root = projectFolder(priceProject);
    const temporary = projectFolder({});
    vi.stubEnv("TMPDIR", temporary);
    onTestFinished(() => void vi.unstubAllEnvs());
    const request = requestFor(root, []);
    const chosen = mutants(
      "3: price < 0 -> price <= 0",
      "4: percent > 50 -> percent <= 50",
      "9: count >= 10 -> count > 10",
      "13: isNew -> !(isNew)",
      "18: rest -= 1 -> rest += 1",
      "23: Date.now() -> undefined",
      "27: new Date(time).getHours() + 1 -> undefined",
      "32: total + amount -> total - amount",
    );
    const run = { copies: request.copies, mutants: chosen, limits, seed: 1, signal: request.signal };
    const report = await runMutants(deps, { ...run, commandsFor: request.framework.commandsFor });
    if (!report.ok) throw new Error(report.error);
    expect(report.value.results.map(({ mutant, status }) => `${mutant.range.line} ${status}`)).toEqual([
      "3 survived",
      "4 killed",
      "9 survived",
      "13 survived",
      "18 timeout",
      "23 survived",
      "27 survived",
      "32 survived",
    ]);
    const survivors = survivorsOf(report.value.results);
    const generated = await generateTests(deps, { ...request, survivors });
    const { verdict } = generated;
    if (verdict.kept === null) throw new Error(verdict.reason);
    // Time of day, time zone, state between calls and calls without an end are not recorded.
    expect(verdict.kept.text).not.toMatch(/subject\.(?:now|day|add|forever)\(/);
    expect(generated.skipped.map(({ name }) => name)).toEqual(["now"]);
    expect(verdict.results.map(({ mutant, status }) => `${mutant.range.line} ${status}`)).toEqual([
      "3 killed",
      "9 killed",
      "13 killed",
      "23 survived",
      "27 survived",
      "32 survived",
    ]);
    expect(verdict.kept).toMatchObject({ path: "test/price.characterisation.test.ts", tests: 3 });
    for (const copy of request.copies) {
      expect(filesOf(copy)).toEqual(priceProject);
      expect(processesIn(copy)).toEqual([]);
    }
    expect(readdirSync(temporary).map((name) => join(temporary, name))).toEqual([request.copies[1]]);
    // The tests are part of the project's own suite from now on.
    writeFileSync(join(root, verdict.kept.path), verdict.kept.text);
    const { framework } = requestFor(root, []);
    const { signal } = request;
    expect(await runTests(framework.all, { folder: root, limitMs: 60_000, signal })).toMatchObject({ kind: "passed" });
  },
);

it(
  "[MU25] [MU30] of a worker's tests those stay that pass and kill a surviving mutant @night",
  { timeout },
  async () => {
    const root = projectFolder(priceProject);
    const survivors = mutants("9: count >= 10 -> count > 10", "4: price / 2 -> price * 2");
    const path = "test/price.worker.test.ts";
    const text = `import assert from "node:assert/strict";
import { test } from "node:test";
import { discount, isBulk } from "../src/price.ts";

test("wrong about the code", () => assert.equal(discount(100, 60), 40));
test("says nothing new", () => assert.equal(isBulk(30), true));
test("the boundary", () => assert.equal(isBulk(10), true));
test("kept from secrets and the network", async () => {
  assert.equal(process.env.SHIM_EDGE_TOKEN, undefined);
  assert.equal(isBulk(10), true);
});
`;
    const verdict = await judgeTests(deps, requestFor(root, survivors), splitTests(astGrep, path, text));
    expect(verdict.kept).toMatchObject({ path, tests: 1 });
    expect(verdict.kept?.text).toContain("the boundary");
    expect(verdict.kept?.text).not.toMatch(/wrong about|nothing new|secrets/);
  },
);

it("[MU12] tests that pass every second time are refused @night", { timeout }, async () => {
  const flaky = `import { existsSync, rmSync, writeFileSync } from "node:fs";
import "../src/price.ts";
const mark = new URL("mark", import.meta.url);
if (existsSync(mark)) {
  rmSync(mark);
  process.exitCode = 1;
} else writeFileSync(mark, "");
`;
  const root = projectFolder({ ...priceProject, "test/price.test.ts": flaky });
  const { copies, framework, signal } = requestFor(root, []);
  const chosen = mutants("3: price < 0 -> price <= 0");
  const commandsFor = framework.commandsFor;
  const report = await runMutants(deps, { copies, mutants: chosen, commandsFor, limits, seed: 1, signal });
  expect(report).toMatchObject({ ok: false, error: expect.stringContaining("is flaky") as string });
});
