import { frameworkImports, importLine, importSubject, testFunction, type TestStyle } from "./test-style.ts";

export type CaseResult =
  /** `value` is a source text. */
  | { readonly kind: "returned"; readonly value: string; readonly isPromise: boolean }
  | { readonly kind: "threw"; readonly name: string; readonly message: string; readonly isPromise: boolean }
  /** The value cannot be written as a literal. */
  | { readonly kind: "opaque" }
  /** The call began and did not end. */
  | { readonly kind: "hung" };

/** File in the temporary folder, into which a probe writes JSON before and after each call. */
export const probeOutput = "shim-probe.jsonl";

/**
 * Turns a value into a literal that gives an equal value, or null: for plain data only, without
 * cycles. `left`: characters that it may have.
 */
const literalScript = `function literalOf(value, left, depth) {
  if (depth > 6 || left < 0) return null;
  if (value === undefined || value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "bigint") return value + "n";
  if (typeof value === "string") return value.length > left ? null : JSON.stringify(value);
  if (typeof value !== "object" || Object.getOwnPropertySymbols(value).length > 0) return null;
  const isArray = Array.isArray(value);
  if (isArray ? Object.keys(value).length !== value.length : !isPlain(value)) return null;
  const parts = [];
  for (const [key, field] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    if (isArray && key === "length") continue;
    if (!field.enumerable || field.get || field.set || key === "__proto__") return null;
    const text = literalOf(field.value, left, depth + 1);
    if (text === null) return null;
    const name = /^[A-Za-z_$][\\w$]*$/.test(key) ? key : JSON.stringify(key);
    parts.push(isArray ? text : name + ": " + text);
    left -= name.length + text.length;
  }
  if (left < 0) return null;
  if (isArray) return "[" + parts.join(", ") + "]";
  return parts.length === 0 ? "{}" : "{ " + parts.join(", ") + " }";
}
function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  if (Object.prototype.toString.call(value) !== "[object Object]") return false;
  return prototype !== null && Object.getPrototypeOf(prototype) === null;
}`;

const maxValueChars = 400;

/**
 * [MU24] A test of the project's framework that calls each case and writes what happened.
 *
 * @param isReversed calls the last case first
 */
export function probeText(style: TestStyle, expressions: readonly string[], isReversed: boolean): string {
  const imports = [
    importLine(style, "{ appendFileSync }", "node:fs"),
    importLine(style, "{ tmpdir }", "node:os"),
    ...frameworkImports(style),
    importSubject(style),
  ];
  const calls = expressions.map((expression) => `  () => ${expression},`);
  const start = style.framework === "mocha" ? "async function () {\n  this.timeout(0);" : "async () => {";
  const limit = ["vitest", "jest"].includes(style.framework) ? ", 2147483647" : "";
  return `// @ts-nocheck
${imports.join("\n")}

${literalScript}

const calls = [
${calls.join("\n")}
];
const order = calls.map((_, index) => index)${isReversed ? ".reverse()" : ""};

${testFunction(style)}("probe", ${start}
  const write = (line) => appendFileSync(tmpdir() + "/${probeOutput}", JSON.stringify(line) + "\\n");
  for (const index of order) {
    write({ index });
    let isPromise = false;
    try {
      let value = calls[index]();
      isPromise = typeof value?.then === "function";
      if (isPromise) value = await value;
      const text = literalOf(value, ${maxValueChars}, 0);
      write(text === null ? { index, kind: "opaque" } : { index, kind: "returned", value: text, isPromise });
    } catch (error) {
      const isError = error instanceof Error || Object.prototype.toString.call(error) === "[object Error]";
      write(isError ? { index, kind: "threw", name: error.name, message: error.message, isPromise } : { index, kind: "opaque" });
    }
  }
}${limit});
`;
}

/** Pure. A result is null if the call did not begin. A line that was cut off counts as missing. */
export function readResults(text: string, count: number): (CaseResult | null)[] {
  const results: (CaseResult | null)[] = Array.from({ length: count }, () => null);
  for (const line of text.split("\n").slice(0, -1)) {
    const { index, ...result } = JSON.parse(line) as { index: number } & Partial<CaseResult>;
    results[index] = "kind" in result ? (result as CaseResult) : { kind: "hung" };
  }
  return results;
}
