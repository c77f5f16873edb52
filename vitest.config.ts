import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

const results = process.env["SHIM_TEST_RESULTS"];

export default defineConfig({
  test: {
    // CI sums up the reports of several runs.
    reporters: results ? ["default", ["json", { outputFile: results }]] : ["default"],
    pool: "forks",
    // By default all but one of the cores: on two that is one file after the other.
    maxWorkers: 2,
    // Children of the tests never meet the developer's own SHIM.
    env: { SHIM_HOME: "/nonexistent/shim-tests-set-their-own-home", NO_COLOR: "1" },
    coverage: {
      provider: "istanbul",
      include: ["src/**/*.ts"],
      exclude: ["src/**/*-entry.ts"],
      reporter: ["text-summary", "json-summary", "html"],
      thresholds: { lines: 97 },
    },
    projects: [
      // Properties run for seconds, on a loaded machine for many: a timeout is for what hangs.
      { extends: true, test: { name: "node", include: ["test/node/**/*.test.ts"], testTimeout: 60_000 } },
      {
        // workerd: the engine in a real Durable Object, and the worker in front of it.
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                SHIM_SIGNING_SECRET: "signs-the-tokens-of-all-the-tests",
                SHIM_ADMIN_SECRET: "makes-workspaces-for-all-the-tests",
              },
            },
          }),
        ],
        test: { name: "workers", include: ["test/workers/**/*.test.ts"], testTimeout: 60_000 },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
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
    ],
  },
});
