import * as z from "zod";
import { Finding } from "../analysis/finding.ts";
import { Hotspot, ToolRun } from "../analysis/report.ts";
import { parseJson } from "../shared/json-fields.ts";

export const TestCounts = z.object({
  /** Passed and failed. */
  ran: z.int(),
  /** Skipped, or noted for later. */
  skipped: z.int(),
});
export type TestCounts = z.infer<typeof TestCounts>;

export const Coverage = z.object({ lines: z.int(), covered: z.int() });
export type Coverage = z.infer<typeof Coverage>;

/** [EV3] One commit of a project, as the judge compares it. */
export const Measured = z.object({
  commit: z.string(),
  tools: z.array(ToolRun.pick({ name: true, status: true, why: true })),
  findings: z.array(Finding),
  hotspots: z.array(Hotspot),
  tests: z.object({
    passed: z.boolean(),
    /** End of the output of what failed. */
    output: z.string(),
    /** Null where the framework does not count. */
    counts: TestCounts.nullable(),
    /** Differences between two runs of the same code; null: none, or one run. */
    flaky: z.string().nullable(),
    commands: z.array(z.string()),
  }),
  /** Null where it cannot be measured, for the reason in `notes`. */
  coverage: Coverage.nullable(),
  /** Null where nothing is public, or it cannot be measured. */
  api: z.array(z.string()).nullable(),
  testFiles: z.array(z.string()),
  notes: z.array(z.string()),
});
export type Measured = z.infer<typeof Measured>;

/** Parses LCOV: `LF` and `LH` of all files. */
export function parseLcov(text: string): Coverage | null {
  const sum = (name: string): number =>
    [...text.matchAll(/^(LF|LH):(\d+)$/gm)].reduce((total, [, of, n]) => total + (of === name ? Number(n) : 0), 0);
  const lines = sum("LF");
  return lines === 0 ? null : { lines, covered: sum("LH") };
}

/** Parses the end of what node:test prints as TAP. */
export function parseTap(text: string): TestCounts | null {
  const count = (name: string): number | null => {
    const found = [...text.matchAll(/^# (\w+) (\d+)$/gm)].findLast(([, of]) => of === name);
    return found === undefined ? null : Number(found[2]);
  };
  const [passed, failed] = [count("pass"), count("fail")];
  if (passed === null || failed === null) return null;
  return { ran: passed + failed, skipped: (count("skipped") ?? 0) + (count("todo") ?? 0) };
}

/** Names of the tests that failed, from any of these reports. */
export function failedTests(text: string): string[] {
  const lines = [...text.matchAll(/^[ \t]*not ok \d+ - (.+?)(?: # .*)?$/gm)].map(([, name = ""]) => name);
  if (lines.length > 0) return lines;
  const value = parseJson(text);
  const suites = FailedSuites.safeParse(value).data?.testResults ?? [];
  const failed = suites.flatMap((one) => one.assertionResults).filter(({ status }) => status === "failed");
  const mocha = FailedMocha.safeParse(value).data?.failures ?? [];
  return [...failed.map(({ fullName }) => fullName), ...mocha.map(({ fullTitle }) => fullTitle)];
}

const FailedSuites = z.object({
  testResults: z.array(z.object({ assertionResults: z.array(z.object({ status: z.string(), fullName: z.string() })) })),
});
const FailedMocha = z.object({ failures: z.array(z.object({ fullTitle: z.string() })) });

const JestReport = z.object({
  numPassedTests: z.int(),
  numFailedTests: z.int(),
  numPendingTests: z.int().default(0),
  numTodoTests: z.int().default(0),
});

const MochaReport = z.object({ stats: z.object({ passes: z.int(), failures: z.int(), pending: z.int() }) });

/** Parses the JSON reports of vitest, jest and mocha. */
export function parseTestReport(text: string): TestCounts | null {
  const value = parseJson(text);
  const jest = JestReport.safeParse(value).data;
  if (jest)
    return {
      ran: jest.numPassedTests + jest.numFailedTests,
      skipped: jest.numPendingTests + jest.numTodoTests,
    };
  const mocha = MochaReport.safeParse(value).data?.stats;
  return mocha ? { ran: mocha.passes + mocha.failures, skipped: mocha.pending } : null;
}
