import type { Json } from "../contract/values.ts";

/** One JSON object out of those of several parts. Pure; what goes in is nested at most as deep as `unfit` allows. */

interface Given {
  readonly part: string;
  readonly value: Json;
}

export interface Conflict {
  /** JSON Pointer (RFC 6901) into the merged value; "" is all of it. */
  readonly path: string;
  /** Whose value stands there; null: that of none. */
  readonly kept: string | null;
  /** What others say instead. */
  readonly others: readonly Given[];
}

type JsonObject = { [name: string]: Json };

/**
 * [PL9] Objects are merged field by field, in the order of the parts. Values that differ in anything but the order of their fields are a conflict,
 * and so are lists: nobody knows which order would be right. The first stays in the value, the others are told.
 */
export function merge(given: readonly Given[]): { value: Json; conflicts: readonly Conflict[] } {
  const conflicts: Conflict[] = [];
  const others = given.filter(({ value }) => !isObject(value));
  if (others.length > 0) conflicts.push({ path: "", kept: null, others });
  return { value: mergeObjects("", given.filter(hasObject), conflicts), conflicts };
}

function mergeObjects(
  path: string,
  given: readonly (Given & { readonly value: JsonObject })[],
  conflicts: Conflict[],
): JsonObject {
  const names = new Set(given.flatMap(({ value }) => Object.keys(value)));
  return Object.fromEntries(
    [...names].map((name) => {
      const inner = given.flatMap(({ part, value }) => {
        const own = Object.hasOwn(value, name) ? value[name] : undefined;
        return own === undefined ? [] : [{ part, value: own }];
      });
      return [name, mergeField(`${path}/${escaped(name)}`, inner, conflicts)];
    }),
  );
}

function mergeField(path: string, given: readonly Given[], conflicts: Conflict[]): Json {
  const [first] = given;
  if (!first) return null;
  const isKept = isObject(first.value) ? hasObject : (other: Given) => isSame(first.value, other.value);
  const others = given.filter((other) => !isKept(other));
  if (others.length > 0) conflicts.push({ path, kept: first.part, others });
  return isObject(first.value) ? mergeObjects(path, given.filter(hasObject), conflicts) : first.value;
}

function hasObject(given: Given): given is Given & { readonly value: JsonObject } {
  return isObject(given.value);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function escaped(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

function isSame(one: Json, other: Json): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const names = Object.keys(value).toSorted();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name] ?? null)]));
}
