import type { Json } from "../../contract/values.ts";

interface PartValue {
  readonly part: string;
  readonly value: Json;
}

export interface Conflict {
  /** JSON Pointer (RFC 6901) into the merged value; "" is all of it. */
  readonly path: string;
  /** Part whose value was kept; null: none. */
  readonly kept: string | null;
  readonly others: readonly PartValue[];
}

type JsonObject = { [name: string]: Json };

/** [PL9] Merges by field, in the order of parts. Lists that differ conflict: no order is right. */
export function merge(parts: readonly PartValue[]): { value: Json; conflicts: readonly Conflict[] } {
  const conflicts: Conflict[] = [];
  const others = parts.filter(({ value }) => !isObject(value));
  if (others.length > 0) conflicts.push({ path: "", kept: null, others });
  return { value: mergeObjects("", parts.filter(hasObject), conflicts), conflicts };
}

function mergeObjects(
  path: string,
  parts: readonly (PartValue & { readonly value: JsonObject })[],
  conflicts: Conflict[],
): JsonObject {
  const names = new Set(parts.flatMap(({ value }) => Object.keys(value)));
  return Object.fromEntries(
    [...names].map((name) => {
      const inner = parts.flatMap(({ part, value }) => {
        const fieldValue = Object.hasOwn(value, name) ? value[name] : undefined;
        return fieldValue === undefined ? [] : [{ part, value: fieldValue }];
      });
      return [name, mergeField(`${path}/${escapePointer(name)}`, inner, conflicts)];
    }),
  );
}

function mergeField(path: string, parts: readonly PartValue[], conflicts: Conflict[]): Json {
  const [first] = parts;
  if (!first) return null;
  const isKept = isObject(first.value) ? hasObject : (other: PartValue) => isEqual(first.value, other.value);
  const others = parts.filter((other) => !isKept(other));
  if (others.length > 0) conflicts.push({ path, kept: first.part, others });
  return isObject(first.value) ? mergeObjects(path, parts.filter(hasObject), conflicts) : first.value;
}

function hasObject(parts: PartValue): parts is PartValue & { readonly value: JsonObject } {
  return isObject(parts.value);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function escapePointer(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

function isEqual(one: Json, other: Json): boolean {
  return JSON.stringify(sortFields(one)) === JSON.stringify(sortFields(other));
}

function sortFields(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortFields);
  if (!isObject(value)) return value;
  const names = Object.keys(value).toSorted();
  return Object.fromEntries(names.map((name) => [name, sortFields(value[name] ?? null)]));
}
