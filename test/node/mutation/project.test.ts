import { expect, it } from "vitest";
import { install } from "#harness/analysis/project.ts";
import { nodeTool } from "#harness/mutation/fake-tests.ts";
import { type Files, projectFolder } from "#harness/mutation/tiny-project.ts";
import { findFramework, type Framework } from "#src/mutation/framework.ts";
import { type Project, readProject, testsOf } from "#src/mutation/project.ts";
import { newTestFile, styleFor } from "#src/mutation/generate/test-style.ts";
import { openProject } from "#src/tool-runner/project-folder.ts";

function project(files: Files, manifest: object = {}): Project {
  return readProject(openProject(projectFolder({ "package.json": JSON.stringify(manifest), ...files })));
}

function frameworkOf(files: Files, manifest: object = {}, ...installed: string[]): Framework | string {
  const found = project(files, manifest);
  for (const name of installed) install(found.root, name, "");
  const framework = findFramework(found, nodeTool);
  return framework.ok ? framework.value : framework.error;
}

function words({ commandsFor, all }: Framework, file: string): string[] {
  return [...commandsFor(file), all].map(({ args }) => args.join(" "));
}

const vitestTest = { "test/a.test.ts": 'import { test } from "vitest";\nimport { a } from "../src/a";\n' };

it("[MU20] [MU14] the imports of tests name the framework; vitest and jest find the tests of a file", () => {
  const vitest = frameworkOf(vitestTest, { devDependencies: { jest: "1" } }, "vitest", "jest") as Framework;
  expect(vitest.name).toBe("vitest");
  expect(words(vitest, "src/a.ts")).toEqual(["related --run --passWithNoTests src/a.ts", "run"]);
  const jest = frameworkOf({ "a.test.js": "jest.fn();" }, {}, "jest") as Framework;
  expect(words(jest, "a.js")).toEqual(["--ci --findRelatedTests --passWithNoTests a.js", "--ci"]);
  expect(jest.only(["b.test.js"]).args).toEqual(["--ci", "--runTestsByPath", "b.test.js"]);
  expect(vitest.only(["b.test.js"]).args).toEqual(["run", "b.test.js"]);
});

it("[MU20] the test script names it where imports do not, then the packages; what is not installed is named", () => {
  expect(frameworkOf({ "a.test.js": "" }, { scripts: { test: "mocha" } })).toBe(
    "mocha is not installed in the project: npm install",
  );
  expect(frameworkOf({}, { scripts: { test: "node --test" } })).toMatchObject({ name: "node:test" });
  const globals = { "setup.js": "globalThis.jest = vi;", "a.test.js": "jest.fn();" };
  expect(frameworkOf(globals, { scripts: { test: "vitest run" } }, "vitest")).toMatchObject({ name: "vitest" });
  expect(frameworkOf({}, { devDependencies: { jest: "1" } }, "jest")).toMatchObject({ name: "jest" });
  expect(frameworkOf({})).toMatch(/^no test framework was found/);
});

it("[MU14] elsewhere the tests that import a file run first, with the script's loaders, and then all", () => {
  const files = {
    "test/a.test.js": 'import test from "node:test";\nimport "../src/a.js";',
    "test/b.test.js": 'import test from "node:test";',
    "test/helper.js": "export const help = 1;",
    "node_modules/x/x.test.js": "",
  };
  const node = frameworkOf(files, { scripts: { test: "node --import tsx --test 'test/**'" } }) as Framework;
  expect(words(node, "src/a.js")).toEqual([
    "--import tsx --test test/a.test.js",
    "--import tsx --test test/a.test.js test/b.test.js",
    "--import tsx --test test/a.test.js test/b.test.js",
  ]);
  expect(words(node, "src/c.js")).toHaveLength(2);
  const mocha = { "test/a.js": "describe('a', () => {});" };
  const found = frameworkOf(mocha, { scripts: { test: "mocha -r esm" } }, "mocha") as Framework;
  expect(words(found, "src/a.js")).toEqual(["-r esm test/a.js", "-r esm test/a.js"]);
});

it("[MU23] a new test is written as the test of the same file is", () => {
  const found = project({
    "src/a.ts": "",
    "spec/a.spec.ts": "import { it } from 'vitest';\nimport { a } from '../src/a.js';\n",
    "test/b.test.ts": 'import { b } from "../src/b.ts";\n',
  });
  expect(testsOf(found, "src/a.ts")).toEqual(["spec/a.spec.ts"]);
  const style = styleFor(found, "vitest", "src/a.ts");
  expect(style).toMatchObject({ specifier: "../src/a.js", suffix: ".spec.ts", quote: "'", isModule: true });
  const taken = new Set(["spec/a.new.spec.ts"]);
  expect(newTestFile(style, "src/a.ts", "new", (path) => taken.has(path))).toBe("spec/a.new2.spec.ts");
});

it("[MU14] in a large suite the tests that import a file run before all that reach it", () => {
  const files = { ...vitestTest, "test/b.test.ts": "" };
  expect(words(frameworkOf(files, {}, "vitest") as Framework, "src/a.ts")).toEqual([
    "run test/a.test.ts",
    "related --run --passWithNoTests src/a.ts",
    "run",
  ]);
});

it("[MU14] [MU23] imports by the package's own names are followed", () => {
  const test = { "test/a.test.ts": 'import { a } from "#src/deep/a.ts";\nimport { b } from "#one";' };
  const imports = { "#one": "./src/b.ts", "#src/*": "./src/*", "#other": { node: "./src/c.ts" } };
  const found = project({ ...test, "src/deep/a.ts": "", "src/b.ts": "" }, { imports });
  expect(testsOf(found, "src/deep/a.ts")).toEqual(["test/a.test.ts"]);
  expect(styleFor(found, "vitest", "src/b.ts").specifier).toBe("#one");
  expect(testsOf(found, "src/c.ts")).toEqual([]);
});

it("[MU23] without a test of the file another one is the example, and without any the defaults hold", () => {
  const specifier = (example: string, name = "test/b.test.ts"): string =>
    styleFor(project({ [name]: example }), "jest", "src/a.ts").specifier;
  expect(specifier('import { b } from "../src/b.js";')).toBe("../src/a.js");
  expect(specifier('import { b } from "../src/b.ts";')).toBe("../src/a.ts");
  expect(specifier('import { b } from "../src/b";')).toBe("../src/a");
  expect(specifier('import { b } from "./b";', "src/b.test.ts")).toBe("./a");
  const common = project({ "test/b.js": 'const b = require("../b");\ntest("b", () => {});' });
  expect(styleFor(common, "jest", "a.js")).toMatchObject({ isModule: false, hasGlobals: true, suffix: ".js" });
  const bare = styleFor(project({}, { type: "module" }), "node:test", "src/a.js");
  expect(bare).toMatchObject({ example: null, folder: "test", suffix: ".test.js", specifier: "../src/a.js" });
  expect(styleFor(project({}), "node:test", "src/a.cjs").isModule).toBe(false);
  expect(styleFor(project({}), "node:test", "src/a.js").isModule).toBe(false);
  expect(styleFor(project({}), "node:test", "src/a.ts").isModule).toBe(true);
});
