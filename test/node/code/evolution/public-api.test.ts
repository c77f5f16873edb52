import { expect, it } from "vitest";
import { apiOf } from "#src/code/evolution/measure.ts";

const index = `import { Internal, type Options } from "./types.js";
export * from "./all.js";
/** Says what it does. */
export declare function run(options: Options): void;
declare const hidden: Internal;
export { hidden as shown };
`;

it("declarations are compared statement by statement, whatever stands between them", () => {
  expect(apiOf([index, "export interface Options {\n    readonly deep: string;\n}\nexport {};\n"])).toEqual(
    [
      "declare const hidden: Internal;",
      'export * from "./all.js";',
      "export declare function run(options: Options): void;",
      "export interface Options { readonly deep: string; }",
      "export { hidden as shown };",
    ].toSorted(),
  );
});
