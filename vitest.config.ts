import { defineConfig } from "vitest/config";

/** A folder for one report of each script, which CI sums up. */
const results = process.env["SHIM_TEST_RESULTS"];
const report = `${results}/${process.env["npm_lifecycle_event"]?.replaceAll(":", "-")}.json`;

/** Engine and properties: coverage makes them twice as slow, and other tests reach the same lines. */
const uncovered = ["test/node/coordination/node-sqlite.test.ts", "test/node/redaction/properties.test.ts"];
const isCovered = process.argv.some((argument) => argument.startsWith("--coverage"));

/** What runs in Node. What runs in workerd has its own file, since coverage is measured differently there. */
export default defineConfig({
  test: {
    reporters: results ? ["default", ["json", { outputFile: report }]] : ["default"],
    pool: "forks",
    // By default all but one of the cores: on two that is one file after the other.
    maxWorkers: 2,
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
    projects: [
      // Properties run for seconds, on a loaded machine for many: a timeout is for what hangs.
      {
        extends: true,
        test: {
          name: "node",
          include: ["test/node/**/*.test.ts"],
          exclude: isCovered ? uncovered : [],
          testTimeout: 60_000,
        },
      },
      { extends: true, test: { name: "uncovered", include: uncovered, testTimeout: 60_000 } },
      // Apart from the others, because coverage makes it half as slow again.
      { extends: true, test: { name: "sim", include: ["test/sim/**/*.test.ts"], testTimeout: 60_000 } },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      // Needs Debian's prometheus and prometheus-alertmanager.
      { extends: true, test: { name: "ops", include: ["test/ops/**/*.test.ts"], testTimeout: 60_000 } },
      // A real browser: one at a time, for it is measured.
      {
        extends: true,
        test: {
          name: "web",
          include: ["test/web/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e-claude",
          include: ["test/e2e-claude/**/*.test.ts"],
          // Claude Code alone takes seconds to start on a busy machine.
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e-clients",
          include: ["test/e2e-clients/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
