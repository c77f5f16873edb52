import { defineConfig } from "vitest/config";

const folders = process.env["SHIM_MUTATION_TESTS"]?.split(",") ?? [];

/** The tests by day of the folder that `npm run test:mutation` mutates, in one project, as Stryker wants them. */
export default defineConfig({
  test: {
    include: folders.map((folder) => `${folder}/**/*.test.ts`),
    testNamePattern: /^(?!.*@night)/,
    testTimeout: 60_000,
    pool: "forks",
    env: { SHIM_HOME: "/nonexistent/shim-tests-set-their-own-home", NO_COLOR: "1" },
  },
});
