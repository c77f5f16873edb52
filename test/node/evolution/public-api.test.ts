import { expect, it } from "vitest";
import { findEntries, namedEntries, publicApi } from "#src/evolution/measure.ts";

const index = `import { Internal, type Options } from "./types.js";
export { helper as help } from "./helper.js";
export * from "./all.js";
/** Says what it does. */
export declare function run(options: Options): import("./result.js").Result;
declare const hidden: Internal;
export { hidden as shown };
`;
const types = `export interface Options {
    readonly deep: Deep;
}
interface Deep {
    a: string;
}
export interface Internal {
    b: string;
}
export interface Unused {
    c: string;
}
`;
const files = (changes: Record<string, string> = {}) =>
  new Map(
    Object.entries({
      "src/index.d.ts": index,
      "src/types.d.ts": types,
      "src/helper.d.ts": "export declare function helper(): void;\nexport declare function other(): void;\n",
      "src/all.d.ts": "export declare const one = 1;\n",
      "src/result.d.ts": "export type Result = number;\nexport type Extra = 1;\n",
      ...changes,
    }),
  );
const api = (changes: Record<string, string> = {}) => publicApi(files(changes), ["src/index.d.ts"]);

it("[EV6] what the entries lead to is public, and what they pass on as a whole is marked", () => {
  expect(api()).toEqual(
    [
      "public declare const hidden: Internal;",
      "public export declare const one = 1;",
      'public export declare function run(options: Options): import("./result.js").Result;',
      'public export * from "./all.js";',
      'public export { helper as help } from "./helper.js";',
      "public export { hidden as shown };",
      "export declare function helper(): void;",
      "export declare function other(): void;",
      "export interface Internal { b: string; }",
      "export interface Options { readonly deep: Deep; }",
      "export interface Unused { c: string; }",
      "export type Extra = 1;",
      "export type Result = number;",
      "interface Deep { a: string; }",
    ].toSorted(),
  );
  expect(api({ "src/inner.d.ts": "export declare const inner = 1;\n" })).toEqual(api());
});

it("[EV6] files that pass each other on are read once", () => {
  const all = { "src/all.d.ts": 'export * from "./more.js";\n', "src/more.d.ts": 'export * from "./all.js";\n' };
  expect(api(all)).toContain('public export * from "./all.js";');
});

it("[EV6] entries of package.json lead to the declarations of their sources", () => {
  const emitted = new Set(["src/index.d.ts", "src/sub/other.d.ts"]);
  const manifest = {
    main: "./dist/index.js",
    exports: { ".": { types: "./dist/index.d.ts" }, "./x": "./dist/sub/other.mjs" },
  };
  const named = namedEntries(manifest);
  expect(findEntries(named, emitted)).toEqual(["src/index.d.ts", "src/sub/other.d.ts"]);
  expect(findEntries(["dist/missing.js"], emitted)).toBeNull();
  expect(namedEntries({ exports: "./style.css" })).toEqual([]);
});
