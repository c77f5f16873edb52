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

it("[EV6] what a user of the entry can reach is public, and nothing else", () => {
  expect(api()).toEqual(
    [
      "declare const hidden: Internal;",
      "export declare const one = 1;",
      "export declare function helper(): void;",
      'export declare function run(options: Options): import("./result.js").Result;',
      "export interface Internal { b: string; }",
      "export interface Options { readonly deep: Deep; }",
      "export type Result = number;",
      "export { hidden as shown }",
      "interface Deep { a: string; }",
      "an entry exports one",
      "src/index.d.ts exports help",
      "src/index.d.ts exports run",
      "src/index.d.ts exports shown",
    ].toSorted(),
  );
});

it("[EV6] an unused export of an inner module may go; a type that a user meets may not change", () => {
  expect(api({ "src/types.d.ts": types.replace(/export interface Unused[\s\S]*?\n\}\n/, "") })).toEqual(api());
  expect(api({ "src/helper.d.ts": "export declare function helper(): void;\n" })).toEqual(api());
  expect(api({ "src/types.d.ts": types.replace("a: string", "a: number") })).not.toEqual(api());
  expect(api({ "src/all.d.ts": "export declare const one = 1;\nexport declare const two = 2;\n" })).not.toEqual(api());
  expect(api({ "src/index.d.ts": index.replace("helper as help", "helper as aid") })).not.toEqual(api());
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
