import { expect, it } from "vitest";
import { install } from "#harness/analysis/project.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { countingCommand, frameworkName } from "#src/evolution/tests.ts";
import { openProject } from "#src/tool-runner/project-folder.ts";

/** Name of the framework, and its command in words, or why there is none. */
function commandOf(files: Readonly<Record<string, string>>, manifest: object = {}, ...installed: string[]): string[] {
  const folder = temporaryFolder();
  write(folder, { "package.json": JSON.stringify(manifest), ...files });
  for (const name of installed) install(folder, name, "", name.replace("/", "-"));
  const project = openProject(folder);
  const testFiles = Object.keys(files);
  const name = frameworkName(project, testFiles);
  const command = countingCommand(name, project, testFiles, { scratch: "/scratch" });
  return [name ?? "", command.ok ? command.value.args.join(" ") : command.error];
}

it("[EV20] the imports of tests name the framework, whose counts and coverage are written without thresholds", () => {
  const vitest = { "test/a.test.ts": 'import { test } from "vitest";\n' };
  const [name, words] = commandOf(vitest, { devDependencies: { jest: "1" } }, "vitest", "jest");
  expect(name).toBe("vitest");
  expect(words).toBe("run --reporter=default --reporter=json --outputFile.json=/scratch/counts");
  const covered = commandOf(vitest, {}, "vitest", "@vitest/coverage-v8");
  expect(covered[1]).toContain("--coverage.thresholds.lines=0");
  expect(commandOf({ "a.test.js": "jest.fn();" }, {}, "jest")).toEqual([
    "jest",
    "--ci --coverage --coverageReporters=lcovonly --coverageDirectory=/scratch --json --outputFile=/scratch/counts --coverageThreshold={}",
  ]);
});

it("[EV20] the test script names it where imports do not, then the packages; what is not installed is named", () => {
  const missing = "mocha is not installed in the project: npm install";
  expect(commandOf({ "a.test.js": "" }, { scripts: { test: "mocha" } })).toEqual(["mocha", missing]);
  expect(commandOf({}, { scripts: { test: "node --test" } })[0]).toBe("node:test");
  expect(commandOf({ "a.test.js": "jest.fn();" }, { scripts: { test: "vitest run" } }, "vitest")[0]).toBe("vitest");
  expect(commandOf({}, { devDependencies: { jest: "1" } }, "jest")[0]).toBe("jest");
  expect(commandOf({})[1]).toMatch(/^no test framework was found/);
});

it("[EV20] node:test and mocha get the test files, and the flags of the script that load them", () => {
  const files = { "test/a.test.js": 'import test from "node:test";' };
  const [, node] = commandOf(files, { scripts: { test: "node --import tsx --test 'test/**'" } });
  expect(node).toMatch(/^--experimental-test-coverage .*lcov\.info .* --import tsx --test test\/a\.test\.js$/);
  const [, mocha] = commandOf({ "test/a.js": "" }, { scripts: { test: "mocha -r esm" } }, "mocha");
  expect(mocha).toBe("-r esm test/a.js --reporter json --reporter-option output=/scratch/counts");
});
