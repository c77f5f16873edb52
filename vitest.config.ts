import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { testNamePattern } from "./test/night.ts";

/** A folder for one report of each script, which CI sums up. */
const results = process.env["SHIM_TEST_RESULTS"];
const report = `${results}/${process.env["npm_lifecycle_event"]?.replaceAll(":", "-")}.json`;

/** Tests run for seconds, on a loaded machine for many: a timeout is for what hangs, in ms. */
const testTimeout = 240_000;

/** Longer than others of their size, by which vitest sorts: one that begins last would end alone. */
const long = [
  "sim/simulation",
  "e2e/two-machines",
  "e2e/crash",
  "e2e-clients/others",
  "e2e-claude/sessions",
  "e2e-claude/worker",
  "e2e-clients/native",
  "node/redaction/properties",
].map((name) => `/test/${name}.test.ts`);

function isLong({ moduleId }: TestSpecification): boolean {
  return long.some((name) => moduleId.endsWith(name));
}

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/** Folders of `test/node` whose tests start few processes, and whose files leave none of the process's own state changed. */
const inOneProcess = [
  "cli",
  "contract",
  "coordination",
  "coordinator-client",
  "learning",
  "local-mcp",
  "machine",
  "redaction",
  "shared",
  "web",
];

const filesOf = (folder: string): string => `test/node/${folder}/**/*.test.ts`;
const others = readdirSync(join(import.meta.dirname, "test", "node")).filter((one) => !inOneProcess.includes(one));

const inNode = {
  // One more than there are cores, since many tests wait for processes.
  maxWorkers: availableParallelism() + 1,
  sequence: { groupOrder: 2 },
};

/** Files of these folders that replace modules. */
const inOwnProcess = ["test/node/local-mcp/events/over-budget.test.ts"];

/** Node strips the types of each file once, not for each file of tests. */
process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, ".scratch", "compiled");

/** What runs in Node. What runs in workerd has its own file, since coverage is measured differently there. */
export default defineConfig({
  test: {
    testNamePattern,
    testTimeout,
    hookTimeout: testTimeout,
    sequence: { sequencer: LongFirst },
    setupFiles: ["test/harness/machine/compile-cache.ts"],
    reporters: results ? ["default", ["json", { outputFile: report }]] : ["default"],
    pool: "forks",
    // Projects do not get `--maxWorkers`.
    maxWorkers: availableParallelism(),
    // Node imports TypeScript by itself, in half of the time.
    experimental: { viteModuleRunner: false },
    // Children of the tests never meet the developer's own SHIM.
    env: { SHIM_HOME: "/nonexistent/shim-tests-set-their-own-home", NO_COLOR: "1" },
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      // The page runs in a browser, in the project `web`.
      exclude: ["src/**/*-entry.ts", "src/worker/**", "src/durable/**", "src/web/**"],
      reporter: ["text-summary", "json-summary", "html"],
      thresholds: { lines: 97 },
    },
    // A failure on another machine is known by its message alone.
    chaiConfig: { truncateThreshold: 2_000 },
    projects: [
      {
        extends: true,
        test: {
          name: "node",
          include: [...others.map(filesOf), ...inOwnProcess],
          ...inNode,
        },
      },
      // Several files in a process, which loads the source once. A process with many files starts others slowly.
      {
        extends: true,
        test: {
          name: "node-shared",
          include: [...inOneProcess.map(filesOf), "test/rules/*.test.ts"],
          exclude: inOwnProcess,
          isolate: false,
          ...inNode,
        },
      },
      // Apart from the others, because coverage makes it half as slow again.
      { extends: true, test: { name: "sim", include: ["test/sim/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
        },
      },
      // One file at a time, since many of them measure time.
      {
        extends: true,
        test: { name: "night", include: ["test/night/**/*.test.ts"], testTimeout: 300_000, fileParallelism: false },
      },
      // The packed package, on machines that have nothing but Node.
      { extends: true, test: { name: "install", include: ["test/install/**/*.test.ts"] } },
      // The built programs on Windows' own Node: needs Debian's wine64 and wine.
      { extends: true, test: { name: "windows", include: ["test/windows/**/*.test.ts"] } },
      // Needs Debian's prometheus and prometheus-alertmanager.
      { extends: true, test: { name: "ops", include: ["test/ops/**/*.test.ts"] } },
      // A real browser.
      { extends: true, test: { name: "web", include: ["test/web/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "e2e-claude",
          include: ["test/e2e-claude/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "e2e-clients",
          include: ["test/e2e-clients/**/*.test.ts"],
        },
      },
      "./vitest.workers.config.ts",
    ],
  },
});
