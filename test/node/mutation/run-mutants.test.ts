import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { command, depsOf, fakeTests, mutantsOf, requestOf } from "#harness/mutation/fake-tests.ts";
import { copyOf, projectFolder } from "#harness/mutation/tiny-project.ts";
import type { Mutant } from "#src/mutation/mutant.ts";
import { defaultLimits, type MutationReport, type MutationRequest, runMutants } from "#src/mutation/run-mutants.ts";
import type { RunTests } from "#src/mutation/run-tests.ts";

const source = "export const f = (a: number) => a < 1 && a > -5;\n";
const mutants = mutantsOf("a.ts", source);

async function reportOf(runTests: RunTests, request: MutationRequest): Promise<MutationReport> {
  const report = await runMutants(depsOf(runTests), request);
  if (!report.ok) throw new Error(report.error);
  return report.value;
}

function statuses({ results }: MutationReport): Record<string, string> {
  return Object.fromEntries(results.map(({ mutant, status }) => [`${mutant.before} -> ${mutant.after}`, status]));
}

it("[MU5] [MU11] the first command that fails kills a mutant, a timeout kills it too, the others survived", async () => {
  const root = projectFolder({ "a.ts": source });
  const { runTests, runs } = fakeTests("a.ts", (text) => {
    if (text.includes("||")) return "failed";
    return text.includes("undefined") ? "timeout" : "passed";
  });
  const report = await reportOf(runTests, requestOf(root, mutants));
  expect(statuses(report)).toEqual({
    "a < 1 && a > -5 -> a < 1 || a > -5": "killed",
    "a < 1 && a > -5 -> undefined": "timeout",
    "a < 1 -> a <= 1": "survived",
    "a < 1 -> a >= 1": "survived",
    "a > -5 -> a >= -5": "survived",
    "a > -5 -> a <= -5": "survived",
  });
  expect(report).toMatchObject({ total: 6, seed: 1, stoppedBy: null, baselineMs: 10 });
  expect(runs.slice(0, 2)).toEqual([`all: ${source.trim()}`, `all: ${source.trim()}`]);
  expect(runs).toHaveLength(8);
});

it("[MU12] tests that fail, pass once, hang or cannot be started are refused with the reason", async () => {
  const root = projectFolder({ "a.ts": source });
  const refusal = async (...kinds: ("passed" | "failed" | "timeout" | "not_started")[]): Promise<string> => {
    const left = [...kinds];
    const { runTests, runs } = fakeTests("a.ts", () => left.shift() ?? "passed");
    const report = await runMutants(depsOf(runTests), requestOf(root, mutants));
    expect(runs).toHaveLength(2);
    return report.ok ? "" : report.error;
  };
  expect(await refusal("failed", "failed")).toBe("tests all fails without any mutant: the output");
  expect(await refusal("passed", "failed")).toMatch(/^tests all is flaky: .* one of two runs: the output$/);
  expect(await refusal("failed", "passed")).toMatch(/is flaky/);
  expect(await refusal("timeout", "timeout")).toMatch(/did not end within the time/);
  expect(await refusal("not_started", "not_started")).toMatch(/cannot be started/);
  const stopped = requestOf(root, mutants, { signal: AbortSignal.abort() });
  const { runTests } = fakeTests("a.ts", () => "stopped");
  expect(await runMutants(depsOf(runTests), stopped)).toMatchObject({ ok: false, error: /^it was stopped before/ });
});

it("[MU13] the file has its former bytes after each mutant, also where a run throws", async () => {
  const bytes = Buffer.from("\u{FEFF}export const f = (a) => a < 1;\r\nconst g = '😀';\r\n");
  const root = projectFolder({ "a.ts": bytes.toString("utf8") });
  const found = mutantsOf("a.ts", bytes.toString("utf8"));
  const { runTests, runs } = fakeTests("a.ts", () => "passed");
  await reportOf(runTests, requestOf(root, found));
  expect(new Set(runs).size).toBe(found.length + 1);
  expect(readFileSync(join(root, "a.ts"))).toEqual(bytes);
  const broken = fakeTests("a.ts", (text) => {
    if (text.includes("<=")) throw new Error("broken");
    return "passed";
  });
  await expect(runMutants(depsOf(broken.runTests), requestOf(root, found))).rejects.toThrow("broken");
  expect(readFileSync(join(root, "a.ts"))).toEqual(bytes);
});

it("[MU13] a file that leads out of the copy is never written", async () => {
  const other = projectFolder({ "a.ts": source });
  const root = projectFolder({ "b.ts": source });
  symlinkSync(join(other, "a.ts"), join(root, "a.ts"));
  const { runTests } = fakeTests("b.ts", () => "passed");
  await expect(runMutants(depsOf(runTests), requestOf(root, mutants))).rejects.toThrow("not inside the folder");
  expect(readFileSync(join(other, "a.ts"), "utf8")).toBe(source);
});

it("[MU5] what does not parse, does not compile or has changed since is invalid", async () => {
  const root = projectFolder({ "a.ts": source });
  const [first, second] = mutants as [Mutant, Mutant];
  const broken = { ...first, after: "a < (" };
  const moved = { ...first, start: 0 };
  const { runTests } = fakeTests("a.ts", (text, { args }) =>
    args[0] === "compile" && text.includes("undefined") ? "failed" : "passed",
  );
  const request = requestOf(root, [broken, moved, first, second], { compile: command("compile") });
  const report = await reportOf(runTests, request);
  expect(report.results.map(({ status }) => status).sort()).toEqual(["invalid", "invalid", "invalid", "survived"]);
  writeFileSync(join(root, "a.ts"), Buffer.concat([Buffer.from(source), Buffer.from([0xff])]));
  expect(statuses(await reportOf(runTests, requestOf(root, [first])))).toEqual({
    [`${first.before} -> ${first.after}`]: "invalid",
  });
});

it("[MU4] [MU11] with more mutants than the limit some are drawn; copies work at once on different ones", async () => {
  const root = projectFolder({ "a.ts": source });
  const copies = [root, copyOf(root)] as const;
  const folders = new Set<string>();
  const { runTests, runs } = fakeTests("a.ts", (_text, { folder }) => {
    folders.add(folder);
    return "passed";
  });
  const limits = { ...defaultLimits, maxMutants: 4 };
  const report = await reportOf(runTests, requestOf(root, mutants, { copies: [...copies], limits }));
  expect(report).toMatchObject({ total: 6, seed: 1 });
  expect(report.results).toHaveLength(4);
  expect(new Set(runs.slice(2)).size).toBe(4);
  expect(folders).toEqual(new Set(copies));
  const again = await reportOf(runTests, requestOf(root, mutants, { limits }));
  expect(again.results).toEqual(report.results);
});

it("[MU5] a mutant whose tests cannot be started is not run, which nothing has stopped", async () => {
  const root = projectFolder({ "a.ts": source });
  const { runTests } = fakeTests("a.ts", (text) => (text === source ? "passed" : "not_started"));
  const report = await reportOf(runTests, requestOf(root, mutants.slice(0, 1)));
  expect(report).toMatchObject({ stoppedBy: null, results: [{ status: "not_run" }] });
});

it("[MU11] an abort signal ends the run: mutants that were not reached are not run", async () => {
  const root = projectFolder({ "a.ts": source });
  const stop = new AbortController();
  const { runTests, runs } = fakeTests("a.ts", (text) => {
    if (text === source) return "passed";
    stop.abort();
    return "stopped";
  });
  const report = await reportOf(runTests, requestOf(root, mutants, { signal: stop.signal }));
  expect(report.stoppedBy).toBe("signal");
  expect(new Set(report.results.map(({ status }) => status))).toEqual(new Set(["not_run"]));
  expect(runs).toHaveLength(3);
});

it("[MU11] the time for everything ends the run, and the time of one run comes from the slowest without a mutant", async () => {
  const root = projectFolder({ "a.ts": source });
  const limitsMs: number[] = [];
  const end = new AbortController();
  const runTests: RunTests = async (_command, { limitMs, folder }) => {
    limitsMs.push(limitMs);
    const isMutant = readFileSync(join(folder, "a.ts"), "utf8") !== source;
    if (isMutant) end.abort();
    return { kind: isMutant ? "stopped" : "passed", ms: 30, output: "" };
  };
  const limits = { maxMutants: 10, wallMs: 50, factor: 2, extraMs: 7 };
  const given: number[] = [];
  const timeLimit = (ms: number): AbortSignal => {
    given.push(ms);
    return end.signal;
  };
  const report = await runMutants({ ...depsOf(runTests), timeLimit }, requestOf(root, mutants, { limits }));
  expect(report).toMatchObject({ ok: true, value: { stoppedBy: "time" } });
  expect([given, limitsMs]).toEqual([[50], [50, 50, 67]]);
});
