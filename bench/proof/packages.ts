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
  /** Test files that cannot run, and why. */
  readonly leftOut: Readonly<Record<string, string>>;
  readonly dependencies: readonly Published[];
  /** Files whose mutants are tried. */
  readonly mutated: readonly [string, string?];
  /** A name that the package declares in `file`, for a rename. */
  readonly renamed: { readonly file: string; readonly name: string };
}

const jestSnapshots = "its inline snapshots are in the format of jest";
const stricter = "one expectation holds by the equality of jest only";
const required = "it loads TypeScript with require";
const notPublished = "it needs files or packages that are not published";

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
    mutated: ["src/sqids.ts"],
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
    mutated: ["src/lengthCodes.ts", "src/getEncapsulationKindInfo.ts"],
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
      "src/tests/requiring.test.ts": notPublished,
      "src/tests/bad-input.test.ts": jestSnapshots,
      "src/tests/bigint.test.ts": jestSnapshots,
      "src/tests/custom-params-hex.test.ts": required,
      "src/tests/custom-params.test.ts": required,
      "src/tests/custom-salt.test.ts": required,
      "src/tests/default-params.test.ts": required,
    },
    dependencies: [],
    mutated: ["src/util.ts", "src/hashids.ts"],
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
      "__tests__/react.tsx": notPublished,
      "__tests__/promise.ts": notPublished,
      "__tests__/serialize.ts": notPublished,
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
    mutated: ["src/utils.ts", "src/maxAge.ts"],
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
    mutated: ["src/pipe.ts", "src/combine.ts"],
    renamed: { file: "src/helpers.ts", name: "talkbackPlaceholder" },
  },
];
