import { defineConfig } from "vitest/config";

/** The tests by day of the rooms that `npm run test:mutation` mutates, in one project, as Stryker wants them. */
export default defineConfig({
  test: {
    include: ["test/{rules,node/coordination,node/machine,node/redaction}/**/*.test.ts"],
    testNamePattern: /^(?!.*@night)/,
    testTimeout: 60_000,
    pool: "forks",
    env: { SHIM_HOME: "/nonexistent/shim-tests-set-their-own-home", NO_COLOR: "1" },
  },
});
