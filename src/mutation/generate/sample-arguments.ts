import type { SgNode } from "../ast-grep.ts";
import type { ExportedFunction, ModuleFacts, Parameter } from "./module-exports.ts";

/** Arguments of one call, as source texts of literals. */
export type Call = readonly string[];

const numbers = ["0", "1", "-1", "2", "10", "0.5", "100"];
const strings = ['""', '"a"', '"abc"', '"Hello World"', '" a b "', '"A-b_c.1"'];
const predefined: Readonly<Record<string, readonly string[]>> = {
  number: numbers,
  string: strings,
  boolean: ["true", "false"],
  bigint: ["0n", "1n", "-2n"],
  undefined: ["undefined"],
  null: ["null"],
  object: ["{}", "{ a: 1 }"],
};
/** For parameters without a type. */
const untyped = ['"abc"', "0", "2", '""', "[]", "[3, 1, 2]", '["b", "a"]', "{ a: 1 }", "true", "null"];

const maxPool = 24;
const maxDepth = 5;

/**
 * [MU22] Draws calls from the parameters' types and defaults, from literals of the function and
 * from calls in existing tests, which come first.
 *
 * @param testedCalls arguments of calls in existing tests
 * @returns null where a parameter has a type that no literal is known for
 */
export function sampleCalls(
  facts: ModuleFacts,
  { node, parameters }: ExportedFunction,
  testedCalls: readonly Call[],
  { maxCalls, random }: { readonly maxCalls: number; readonly random: () => number },
): Call[] | null {
  const literals = literalsIn(node);
  const pools = parameters.map((parameter, index) => {
    const tested = testedCalls.flatMap((call) => call[index] ?? []);
    return poolOf(facts, parameter, tested, literals);
  });
  if (pools.some((pool) => pool.length === 0)) return null;
  const calls = new Map(testedCalls.map((call) => [call.join(), call]));
  const required = parameters.filter(({ isOptional, isRest }) => !isOptional && !isRest).length;
  for (let tries = 0; tries < maxCalls * 4 && calls.size < maxCalls; tries++) {
    const length = required + Math.floor(random() * (parameters.length - required + 1));
    const call = pools.slice(0, length).map((pool) => pool[Math.floor(random() * pool.length)] ?? "undefined");
    calls.set(call.join(), call);
  }
  return [...calls.values()].slice(0, maxCalls);
}

interface Literals {
  readonly numbers: readonly string[];
  readonly strings: readonly string[];
}

function poolOf(facts: ModuleFacts, parameter: Parameter, tested: readonly string[], literals: Literals): string[] {
  const { type, initial } = parameter;
  const element = parameter.isRest && type?.is("array_type") ? (type.namedChildren()[0] ?? null) : type;
  const byType = element === null ? fromDefault(initial) : ofType(facts, element, literals, 0);
  const typed = byType.length === 0 ? [] : withLiterals(byType, literals);
  const known = initial !== null && isLiteral(initial) ? [initial] : [];
  return [...new Set([...tested, ...known, ...typed])].slice(0, maxPool);
}

function fromDefault(initial: string | null): readonly string[] {
  if (initial === null) return untyped;
  if (/^-?[\d.]+$/.test(initial)) return numbers;
  if (/^["'`]/.test(initial)) return strings;
  if (/^(?:true|false)$/.test(initial)) return ["true", "false"];
  return initial.startsWith("{") ? ["{}"] : untyped;
}

/** Values of the function itself are the likeliest to reach its branches. */
function withLiterals(pool: readonly string[], literals: Literals): readonly string[] {
  const isAny = pool === untyped;
  if (pool === numbers) return [...literals.numbers, ...pool];
  if (pool === strings) return [...literals.strings, ...pool];
  return isAny ? [...literals.strings.slice(0, 8), ...literals.numbers.slice(0, 9), ...pool] : pool;
}

type ReadType = (facts: ModuleFacts, type: SgNode, literals: Literals, depth: number) => readonly string[];

const readers: Readonly<Record<string, ReadType>> = {
  predefined_type: (_facts, type) => predefined[type.text()] ?? (/^(?:any|unknown)$/.test(type.text()) ? untyped : []),
  literal_type: (_facts, type) => [type.text()],
  union_type: (facts, type, literals, depth) =>
    type.namedChildren().flatMap((part) => ofType(facts, part, literals, depth).slice(0, 8)),
  array_type: (facts, type, literals, depth) => arraysOf(firstOf(facts, type, literals, depth)),
  readonly_type: (facts, type, literals, depth) => firstOf(facts, type, literals, depth),
  parenthesized_type: (facts, type, literals, depth) => firstOf(facts, type, literals, depth),
  tuple_type: (facts, type, literals, depth) =>
    combined(type.namedChildren().map((part) => ofType(facts, part, literals, depth))).map(
      (row) => `[${row.join(", ")}]`,
    ),
  object_type: (facts, type, literals, depth) => objectsOf(facts, type.namedChildren(), literals, depth),
  interface_body: (facts, type, literals, depth) => objectsOf(facts, type.namedChildren(), literals, depth),
  generic_type: ofGeneric,
  type_identifier: ofName,
};

function ofType(facts: ModuleFacts, type: SgNode, literals: Literals, depth: number): readonly string[] {
  if (depth > maxDepth) return [];
  return readers[String(type.kind())]?.(facts, type, literals, depth + 1) ?? [];
}

function firstOf(facts: ModuleFacts, type: SgNode, literals: Literals, depth: number): readonly string[] {
  const part = type.namedChildren()[0];
  return part === undefined ? [] : ofType(facts, part, literals, depth);
}

function ofName(facts: ModuleFacts, type: SgNode, literals: Literals, depth: number): readonly string[] {
  const declared = facts.declarations.get(type.text());
  const body = declared?.field(declared.is("interface_declaration") ? "body" : "value");
  return body ? ofType(facts, body, literals, depth) : [];
}

type ReadGeneric = (pool: readonly string[]) => readonly string[];

const generics: Readonly<Record<string, ReadGeneric>> = {
  Array: arraysOf,
  ReadonlyArray: arraysOf,
  Readonly: (pool) => pool,
  Partial: (pool) => ["{}", ...pool],
  Record: (pool) => (pool.length === 0 ? [] : ["{}", `{ a: ${pool[0]} }`, `{ b: ${pool.at(-1)}, a: ${pool[0]} }`]),
};

/** By the last argument: the elements of an array, the values of a record. */
function ofGeneric(facts: ModuleFacts, type: SgNode, literals: Literals, depth: number): readonly string[] {
  const read = generics[type.field("name")?.text() ?? ""];
  const last = type.field("type_arguments")?.namedChildren().at(-1);
  return read !== undefined && last !== undefined ? read(ofType(facts, last, literals, depth)) : [];
}

function arraysOf(pool: readonly string[]): string[] {
  if (pool.length === 0) return [];
  const at = (index: number): string => pool[index % pool.length] ?? "";
  return ["[]", `[${at(1)}]`, `[${[at(2), at(0), at(1)].join(", ")}]`, `[${[at(1), at(1), at(3)].join(", ")}]`];
}

function objectsOf(facts: ModuleFacts, members: readonly SgNode[], literals: Literals, depth: number): string[] {
  const fields = members.filter((member) => member.is("property_signature"));
  const pools = fields.map((field) => {
    const type = field.field("type")?.namedChildren()[0];
    const isOptional = field.children().some((child) => child.text() === "?");
    const pool = type === undefined ? [] : withLiterals(ofType(facts, type, literals, depth), literals);
    const name = field.field("name")?.text() ?? "";
    const texts = pool.map((value) => `${name}: ${value}`);
    return isOptional ? [""].concat(texts) : texts;
  });
  return combined(pools).map((row) => `{ ${row.filter((text) => text !== "").join(", ")} }`);
}

const maxRows = 8;

/** All rows with one value of each pool, or evenly chosen ones. Empty where a pool is. */
function combined(pools: readonly (readonly string[])[]): string[][] {
  const total = pools.reduce((product, pool) => product * pool.length, 1);
  const count = Math.min(maxRows, total);
  return Array.from({ length: count }, (_, row) => {
    let rest = Math.floor((row * total) / count);
    return pools.map((pool) => {
      const value = pool[rest % pool.length] ?? "";
      rest = Math.floor(rest / pool.length);
      return value;
    });
  });
}

function literalsIn(node: SgNode): Literals {
  const texts = (kind: string): string[] => node.findAll({ rule: { kind } }).map((one) => one.text());
  const values = texts("number")
    .map(Number)
    .filter((value) => Math.abs(value) < 1e6);
  const near = values.flatMap((value) => [value, value - 1, value + 1]).map(String);
  return { numbers: [...new Set(near)].slice(0, 12), strings: [...new Set(texts("string"))].slice(0, 8) };
}

function isLiteral(text: string): boolean {
  return /^(?:-?[\d.]+n?|true|false|null|undefined|""|"[^"\\]*"|'[^'\\]*'|\[\]|\{\})$/.test(text);
}

/** Arguments of the calls of a function in a test file that are literals only. */
export function callsIn(test: SgNode, name: string): Call[] {
  const rule = { kind: "call_expression", has: { field: "function", regex: `^(?:\\w+\\.)?${name}$` } };
  return test.findAll({ rule }).flatMap((call) => {
    const values = call.field("arguments")?.namedChildren() ?? [];
    return values.every(isLiteralNode) ? [values.map((value) => value.text())] : [];
  });
}

const literalKinds = ["number", "string", "true", "false", "null", "undefined"];
const nestedKinds = ["array", "object", "pair", "property_identifier"];

function isLiteralNode(node: SgNode): boolean {
  if (literalKinds.some((kind) => node.is(kind))) return true;
  if (node.is("unary_expression")) return /^-[\d.]+n?$/.test(node.text());
  return nestedKinds.some((kind) => node.is(kind)) && node.namedChildren().every(isLiteralNode);
}
