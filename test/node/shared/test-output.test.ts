import { expect, it } from "vitest";
import { ranNoTests } from "#src/shared/test-output.ts";

it.each([
  "No test files found, exiting with code 0",
  "No tests found, exiting with code 0\nRun with `--passWithNoTests`",
  "\n  0 passing (3ms)",
  "TAP version 13\n1..0\n# tests 0\n# pass 0",
  "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored",
  "collected 0 items\n\n=== no tests ran in 0.01s ===",
  "Ran 0 tests in 0.000s\n\nOK",
  "?   \tharbour\t[no test files]",
  "Tests run: 0, Failures: 0, Errors: 0",
  "> Task :test NO-SOURCE\nBUILD SUCCESSFUL",
])("a run that ran no tests is known by what it printed: %j", (output) => {
  expect(ranNoTests(output)).toBe(true);
});

it.each([
  "",
  "BUILD SUCCESSFUL",
  " Tests  12 passed (12)",
  "Tests:       1 failed, 3 passed, 4 total",
  "  7 passing (40ms)",
  "# tests 3\n# pass 3",
  "running 0 tests\ntest result: ok. 0 passed\n\nrunning 4 tests\ntest result: ok. 4 passed; 0 failed",
  "?   \tharbour/cmd\t[no test files]\nok  \tharbour/pier\t0.01s",
  "Ran 5 tests in 0.2s\n\nOK",
  "Tests run: 0, Failures: 0\nTests run: 9, Failures: 0",
])("a run that ran tests, or does not say how many, is not said to have run none: %j", (output) => {
  expect(ranNoTests(output)).toBe(false);
});
