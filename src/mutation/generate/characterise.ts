import type { CaseResult } from "./probe.ts";
import { calleeOf, frameworkImports, importSubject, testFunction, type TestStyle } from "./test-style.ts";
import type { Call } from "./sample-arguments.ts";

export interface Case {
  /** Name of the export. */
  readonly name: string;
  readonly call: Call;
}

export interface RecordedCase extends Case {
  readonly result: Extract<CaseResult, { kind: "returned" | "threw" }>;
}

export function expressionOf(style: TestStyle, { name, call }: Case): string {
  return `${calleeOf(style, name)}(${call.join(", ")})`;
}

const header = [
  "// Characterisation tests: they record what the code did when they were made, right or wrong.",
  "// Correct an expected value that is not what the code should do, and then the code.",
];

const maxTitleChars = 90;

/** Pure. [MU27] One test for each case. */
export function testText(style: TestStyle, cases: readonly RecordedCase[]): string {
  const titles = new Map<string, number>();
  const tests = cases.map((recorded) => {
    const short = titleOf(recorded).slice(0, maxTitleChars);
    const count = (titles.get(short) ?? 0) + 1;
    titles.set(short, count);
    const title = JSON.stringify(count === 1 ? short : `${short} (${count})`);
    const isAsync = recorded.result.isPromise ? "async " : "";
    return `${testFunction(style)}(${title}, ${isAsync}() => {\n  ${assertion(style, recorded)}\n});`;
  });
  const lines = [...header, ...frameworkImports(style), importSubject(style)].join("\n");
  return `${lines}\n\n${tests.join("\n\n")}\n`;
}

function titleOf({ name, call, result }: RecordedCase): string {
  const shown = name === "module.exports" ? "default" : name;
  const effect = result.kind === "returned" ? `gives ${result.value}` : `throws ${result.name}`;
  return `${shown}(${call.join(", ").replaceAll(/\s+/g, " ")}) ${effect}`;
}

type Style = "expect" | "chai" | "assert";

function assertion(style: TestStyle, recorded: RecordedCase): string {
  const expression = expressionOf(style, recorded);
  const { result } = recorded;
  const kind = assertionStyle(style);
  return result.kind === "returned" ? equality(kind, expression, result) : rejection(kind, expression, result);
}

function assertionStyle({ framework, hasChai }: TestStyle): Style {
  if (framework === "vitest" || framework === "jest") return "expect";
  return framework === "mocha" && hasChai ? "chai" : "assert";
}

function equality(kind: Style, expression: string, { value, isPromise }: Returned): string {
  const actual = isPromise ? `await ${expression}` : expression;
  if (kind === "assert") return `assert.deepEqual(${actual}, ${value});`;
  if (kind === "chai") return `expect(${actual}).to.deep.equal(${value});`;
  return `expect(${actual}).${/^[[{]/.test(value) ? "toStrictEqual" : "toBe"}(${value});`;
}

function rejection(kind: Style, expression: string, { name, message, isPromise }: Threw): string {
  const text = JSON.stringify(message);
  if (kind === "assert") {
    const check = isPromise ? "await assert.rejects" : "assert.throws";
    return `${check}(${isPromise ? "async " : ""}() => ${expression}, { name: ${JSON.stringify(name)}, message: ${text} });`;
  }
  if (kind === "chai") return `expect(() => ${expression}).to.throw(${text});`;
  const check = isPromise ? `await expect(${expression}).rejects` : `expect(() => ${expression})`;
  return `${check}.toThrow(${message === "" ? "" : text});`;
}

type Returned = Extract<CaseResult, { kind: "returned" }>;
type Threw = Extract<CaseResult, { kind: "threw" }>;

/** The engine's messages about a wrong argument differ between versions; no author intends them. */
const engineMessage =
  /^(?:Cannot (?:read|set|convert|destructure|mix|access|create)|Invalid (?:array length|time value|regular|count|code point)|Maximum call stack|Class constructor|Assignment to constant|Reduce of empty|Method .* called on|undefined is not|object null is not|.* is not (?:a function|defined|iterable|an object|a constructor|extensible|a valid))|is not iterable|not a function/;

/** [MU24] Whether a result of two runs, in both orders and two time zones, may become a test. */
export function isStable(
  first: CaseResult | null,
  second: CaseResult | null,
  root: string,
): first is RecordedCase["result"] {
  if (first === null || JSON.stringify(first) !== JSON.stringify(second)) return false;
  if (first.kind !== "returned" && first.kind !== "threw") return false;
  if (JSON.stringify(first).includes(root)) return false;
  return first.kind === "returned" || !engineMessage.test(first.message);
}
