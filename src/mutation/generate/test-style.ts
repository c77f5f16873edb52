import { posix } from "node:path";
import { sourceExtension } from "../ast-grep.ts";
import type { FrameworkName } from "../framework.ts";
import { type Project, projectImports, specifierOf, testsOf, withoutExtension } from "../project.ts";

/** How a new test file of one source file is written: as the existing tests are. */
export interface TestStyle {
  readonly framework: FrameworkName;
  readonly isModule: boolean;
  readonly hasChai: boolean;
  readonly hasGlobals: boolean;
  /** Test file that was copied from; null: the project has none. */
  readonly example: string | null;
  /** Folder of the new file, and the end of its name. */
  readonly folder: string;
  readonly suffix: string;
  /** How the new file imports the source file. */
  readonly specifier: string;
  readonly quote: string;
}

/** [MU23] */
export function styleFor(project: Project, framework: FrameworkName, file: string): TestStyle {
  const { manifest } = project;
  const packages = { ...manifest.dependencies, ...manifest.devDependencies };
  const common = { framework, hasChai: Object.hasOwn(packages, "chai") };
  const [example = project.testFiles[0]] = testsOf(project, file);
  if (example === undefined) {
    const suffix = `.test${extensionOf(file)}`;
    const isModule = isModuleFile(project, extensionOf(file));
    const specifier = newSpecifier("test", "", file, isModule);
    return { ...common, isModule, hasGlobals: false, example: null, folder: "test", suffix, specifier, quote: '"' };
  }
  const text = project.read(example);
  const folder = posix.dirname(example);
  const isModule = isModuleText(text);
  return {
    ...common,
    isModule,
    hasGlobals: !/["'](?:vitest|@jest\/globals)["']/.test(text),
    example,
    folder,
    suffix: `${/([.\-_](?:test|spec))\.\w+$/.exec(example)?.[1] ?? ""}${extensionOf(example)}`,
    specifier: specifierOf(project, example, file) ?? newSpecifier(folder, text, file, isModule),
    quote: /(?:from|require\()\s*'/.test(text) ? "'" : '"',
  };
}

function extensionOf(file: string): string {
  return sourceExtension.exec(file)?.[0] ?? "";
}

function isModuleText(text: string): boolean {
  return /^import\b/m.test(text) || !/\brequire\(/.test(text);
}

function isModuleFile({ manifest }: Project, extension: string): boolean {
  if (extension.startsWith(".c")) return false;
  return manifest.type === "module" || /^\.(?:m|tsx?$)/.test(extension);
}

function newSpecifier(folder: string, example: string, file: string, isModule: boolean): string {
  const path = posix.relative(folder, file);
  const stem = withoutExtension(path.startsWith(".") ? path : `./${path}`);
  const extension = extensionOf(file);
  const others = projectImports(example);
  if (others.some((one) => one.endsWith(extension))) return stem + extension;
  if (others.some((one) => /\.[cm]?js$/.test(one))) return stem + extension.replace("t", "j");
  return isModule && others.length === 0 ? stem + extension : stem;
}

/** Path of a new file beside the example, free in the project. */
export function newTestFile(style: TestStyle, file: string, kind: string, exists: (path: string) => boolean): string {
  const stem = posix.basename(withoutExtension(file));
  const path = (number: string): string => posix.join(style.folder, `${stem}.${kind}${number}${style.suffix}`);
  for (let number = 1; ; number++) {
    const candidate = path(number === 1 ? "" : String(number));
    if (!exists(candidate)) return candidate;
  }
}

/** Expression in a test that gives an exported function. */
export function calleeOf({ isModule }: TestStyle, name: string): string {
  if (name !== "module.exports") return `subject.${name}`;
  return isModule ? "subject.default" : "subject";
}

/** The module under test is `subject`. */
export function importSubject(style: TestStyle): string {
  const from = `${style.quote}${style.specifier}${style.quote}`;
  return style.isModule ? `import * as subject from ${from};` : `const subject = require(${from});`;
}

/** Imports one thing of a package in the style's module format. */
export function importLine(style: TestStyle, what: string, from: string): string {
  const name = `${style.quote}${from}${style.quote}`;
  return style.isModule ? `import ${what} from ${name};` : `const ${what} = require(${name});`;
}

/** Name of the function that defines a test. */
export function testFunction({ framework }: TestStyle): string {
  return framework === "mocha" ? "it" : "test";
}

export function frameworkImports(style: TestStyle): string[] {
  const { framework, hasGlobals, hasChai } = style;
  switch (framework) {
    case "node:test":
      return [importLine(style, "{ test }", "node:test"), importLine(style, "assert", "node:assert/strict")];
    case "mocha":
      return [hasChai ? importLine(style, "{ expect }", "chai") : importLine(style, "assert", "node:assert/strict")];
    case "vitest":
      return hasGlobals ? [] : [importLine(style, "{ expect, test }", "vitest")];
    case "jest":
      return hasGlobals ? [] : [importLine(style, "{ expect, test }", "@jest/globals")];
  }
}
