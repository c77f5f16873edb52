/** A published package: npm's own integrity, which the download must have. */
export interface Published {
  readonly name: string;
  readonly version: string;
  readonly integrity: string;
}

export interface ProofPackage extends Published {
  /** Folder below `.scratch/packages`. */
  readonly folder: string;
  /** Source from which everything else is reached; the published build is left out. */
  readonly entry: string;
  readonly tests: readonly string[];
  /** Files and folders that are not there, and why: builds, and tests that cannot run. */
  readonly leftOut: Readonly<Record<string, string>>;
  readonly dependencies: readonly Published[];
  /** Paths by which its tests import the package. */
  readonly exports?: Readonly<Record<string, string>>;
  /** Too large for the rest: its findings alone, with those of seeded defects. */
  readonly isAnalysedOnly?: true;
  /** A name that the package declares in `file`, for a rename. */
  readonly renamed: { readonly file: string; readonly name: string };
}

const jestSnapshots = "its inline snapshots are in the format of jest";
const stricter = "one expectation holds by the equality of jest only";
const required = "it loads TypeScript with require";
const ownBuild = "it loads the build of the package, which is left out";
const built = "it is a build";

function needs(packages: string): string {
  return `it needs ${packages}, which the package does not depend on`;
}

export const packages: readonly ProofPackage[] = [
  {
    folder: "sqids",
    name: "sqids",
    version: "0.3.0",
    integrity: "sha512-lOQK1ucVg+W6n3FhRwwSeUijxe93b51Bfz5PMRMihVf1iVkl82ePQG7V5vwrhzB11v0NtsR25PSZRGiSomJaJw==",
    entry: "src/sqids.ts",
    tests: ["src/tests/*.test.ts"],
    leftOut: { "src/tests/uniques.test.ts": "it encodes millions of numbers, for minutes" },
    dependencies: [],
    renamed: { file: "src/sqids.ts", name: "defaultOptions" },
  },
  {
    folder: "cdr",
    name: "@foxglove/cdr",
    version: "3.5.0",
    integrity: "sha512-trj8uB+J71SuW9g8TbbDgTbvqrmUHQjh5uhqBAraBhg4hxm7aG9AFPvz34yJ/XZnl28x0NuLjptJYKNSUlgM9Q==",
    entry: "src/index.ts",
    tests: ["src/*.test.ts"],
    leftOut: { "src/CdrReader.test.ts": jestSnapshots },
    dependencies: [],
    renamed: { file: "src/lengthCodes.ts", name: "getLengthCodeForObjectSize" },
  },
  {
    folder: "hashids",
    name: "hashids",
    version: "2.3.0",
    integrity: "sha512-ljM73TE/avEhNnazxaj0Dw3BbEUuLC5yYCQ9RSkSUcT4ZSU6ZebdKCIBJ+xT/DnSYW36E9k82GH1Q6MydSIosQ==",
    entry: "src/hashids.ts",
    tests: ["src/tests/*.test.ts"],
    leftOut: {
      "src/tests/requiring.test.ts": ownBuild,
      "src/tests/bad-input.test.ts": jestSnapshots,
      "src/tests/bigint.test.ts": jestSnapshots,
      "src/tests/custom-params-hex.test.ts": required,
      "src/tests/custom-params.test.ts": required,
      "src/tests/custom-salt.test.ts": required,
      "src/tests/default-params.test.ts": required,
    },
    dependencies: [],
    renamed: { file: "src/util.ts", name: "keepUnique" },
  },
  {
    folder: "moize",
    name: "moize",
    version: "6.1.7",
    integrity: "sha512-8/9XgYooMo7/q5tf6zGF4+Wp1jx5sbxV87uK6YvTq9rgDtusLWZCZ8c5C0EhYZbNGudul5EMeMsObO4Ug/gszg==",
    entry: "src/index.ts",
    tests: ["__tests__/*.ts"],
    leftOut: {
      "__tests__/react.tsx": needs("react, react-dom and prop-types"),
      "__tests__/promise.ts": needs("bluebird"),
      "__tests__/serialize.ts": needs("lodash"),
      "__tests__/default.ts": stricter,
      "__tests__/infinite.ts": stricter,
    },
    dependencies: [
      {
        name: "micro-memoize",
        version: "4.2.0",
        integrity: "sha512-dRxIsNh0XosO9sd3aASUabKOzG9dloLO41g74XUGThpHBoGm1ttakPT5in14CuW/EDedkniaShFHbymmmKGOQA==",
      },
      {
        name: "fast-equals",
        version: "3.0.3",
        integrity: "sha512-NCe8qxnZFARSHGztGMZOO/PC1qa5MIFB5Hp66WdzbCRAz8U8US3bx1UTgLS49efBQPcUtO9gf5oVEY8o7y/7Kg==",
      },
    ],
    renamed: { file: "src/utils.ts", name: "combine" },
  },
  {
    folder: "wonka",
    name: "wonka",
    version: "6.3.6",
    integrity: "sha512-MXH+6mDHAZ2GuMpgKS055FR6v0xVP3XwquxIMYXgiW+FejHQlMGlvVRZT4qMCxR+bEo/FCtIdKxwej9WV3YQag==",
    entry: "src/index.ts",
    tests: ["src/__tests__/*.test.ts"],
    leftOut: {},
    dependencies: [
      {
        name: "zen-observable",
        version: "0.10.0",
        integrity: "sha512-iI3lT0iojZhKwT5DaFy2Ce42n3yFcLdFyOh01G7H0flMY60P8MJuVFEoJoNwXlmAyQ45GrjL6AcZmmlv8A5rbw==",
      },
      {
        name: "callbag-from-iter",
        version: "1.3.0",
        integrity: "sha512-iBc6O6DYDWQBjlOZzdU/SbJofK0pN3TjNWC4fDIQePBk5FWCZKVll/coXiVU6gpwbBaS0Om/d/PVbVK8Ki17Ew==",
      },
      {
        name: "callbag-iterate",
        version: "1.0.0",
        integrity: "sha512-bynCbDuqGZkj1mXAhGr8jMf8Vhifps+G+pF3xlcz3jcaZLNXHghVjValnJtBTg2N74cyl347UzagJ8niJpyF6Q==",
      },
      {
        name: "callbag-take",
        version: "1.5.0",
        integrity: "sha512-8aOxp+gzfVQtDe+tk9PhKbC9QR9Vap4KFA0xccUiXFK9VjIS0fSt/Yi454viPpMhJkhRcx1BsjyF34Cj57W89A==",
      },
    ],
    renamed: { file: "src/helpers.ts", name: "talkbackPlaceholder" },
  },
  {
    folder: "zod",
    name: "zod",
    version: "4.6.7",
    integrity: "sha512-g8W2D2kU6a8untc053fX1uVBKzM7yqAxW/3zwk83+6RyF2+SKOuV+c0wBDhUwzV1PaGapmZH+rmcUzPf+3CGwg==",
    entry: "src/index.ts",
    tests: [],
    leftOut: Object.fromEntries(
      ["compile", "index"]
        .flatMap((name) => [".cjs", ".d.cts", ".d.ts", ".js"].map((end) => name + end))
        .concat("locales", "mini", "v3", "v4", "v4-mini")
        .map((path) => [path, built]),
    ),
    dependencies: [],
    exports: {
      ".": "./src/index.ts",
      "./locales": "./src/locales/index.ts",
      "./mini": "./src/mini/index.ts",
      "./v3": "./src/v3/index.ts",
      "./v4": "./src/v4/index.ts",
      "./v4/core": "./src/v4/core/index.ts",
    },
    isAnalysedOnly: true,
    renamed: { file: "src/v4/core/visit.ts", name: "visit" },
  },
];
