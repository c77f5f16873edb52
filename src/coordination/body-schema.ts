import type { Json } from "../contract/values.ts";
import { messageOf } from "../shared/error.ts";
import { compile, matches, type Pattern } from "./linear-pattern.ts";
import { isObject, listOf, mapOf, partOf, textOf, type JsonObject } from "./schema-parts.ts";
import { typeOf, wrongCount, wrongFormat, wrongNumber, wrongType } from "./schema-values.ts";

/**
 * Whether a body is what a JSON Schema (2019-09) asks for. Pure. [MS16] The work is counted, so that no schema and no body makes it long: patterns
 * are matched in linear time, equal items are found by their texts, and beyond `mostSteps` the body is refused.
 */

const mostSteps = 1_000_000;

class TooCostly extends Error {}

/** Where and why a body does not fit; null when it does. */
export function misfit(schema: Json, body: Json): string | null {
  try {
    return new Check(schema).find(schema, body, "#").fault;
  } catch (error) {
    if (error instanceof TooCostly) {
      return `to check it takes more than ${mostSteps} steps; send less, or simplify the schema`;
    }
    return `the schema cannot be applied to it: ${messageOf(error)}`;
  }
}

interface Finding {
  readonly fault: string | null;
  /** Names and numbers of what some part of the schema has looked at, for `unevaluated...`. */
  readonly seen: ReadonlySet<string>;
}

/** A value, where it lies in the body, and what of it was looked at so far. */
interface Place<Value extends Json = Json> {
  readonly value: Value;
  readonly at: string;
  readonly seen: Set<string>;
}

const nothingSeen: ReadonlySet<string> = new Set();

function wrong(at: string, why: string): Finding {
  return { fault: `${at}: ${why}`, seen: nothingSeen };
}

class Check {
  readonly #root: Json;
  readonly #patterns = new Map<string, Pattern>();
  #left = mostSteps;

  constructor(root: Json) {
    this.#root = root;
  }

  readonly #spend = (steps: number): void => {
    this.#left -= steps;
    if (this.#left < 0) throw new TooCostly();
  };

  find(schema: Json | undefined, value: Json, at: string): Finding {
    this.#spend(1);
    if (schema === true) return { fault: null, seen: nothingSeen };
    if (schema === false) return wrong(at, "is not allowed");
    if (!isObject(schema)) throw new Error(`a schema is an object, true or false, not ${typeOf(schema ?? null)}`);
    const why = this.#plain(schema, value);
    if (why !== null) return wrong(at, why);
    const place = { value, at, seen: new Set<string>() };
    return this.#inPlace(schema, place) ?? this.#inside(schema, place) ?? { fault: null, seen: place.seen };
  }

  /** What is asked of the value itself. @returns why it is not so */
  #plain(schema: JsonObject, value: Json): string | null {
    return wrongType(schema["type"], value) ?? this.#wrongChoice(schema, value) ?? this.#wrongOfType(schema, value);
  }

  #wrongOfType(schema: JsonObject, value: Json): string | null {
    if (typeof value === "number") return wrongNumber(schema, value);
    if (typeof value === "string") return this.#wrongText(schema, value);
    if (Array.isArray(value)) return this.#wrongArray(schema, value);
    return isObject(value) ? this.#wrongObject(schema, value) : null;
  }

  #wrongChoice({ const: only, enum: choices }: JsonObject, value: Json): string | null {
    if (only !== undefined && !this.#isSame(only, value)) return "is not the one value that is allowed";
    if (choices === undefined || listOf("enum", choices).some((one) => this.#isSame(one, value))) return null;
    const some = listOf("enum", choices).slice(0, 10);
    return `is none of ${some.map((one) => this.#canonical(one).slice(0, 50)).join(", ")}`;
  }

  #isSame(one: Json, other: Json): boolean {
    this.#spend(1);
    if (one === other) return true;
    return typeOf(one) === typeOf(other) && typeof one === "object" && this.#canonical(one) === this.#canonical(other);
  }

  /** The same text for equal values. */
  #canonical(value: Json): string {
    this.#spend(1 + (typeof value === "string" ? value.length : 0));
    if (Array.isArray(value)) return `[${value.map((one) => this.#canonical(one)).join(",")}]`;
    if (!isObject(value)) return JSON.stringify(value);
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([name, one]) => `${this.#canonical(name)}:${this.#canonical(one)}`).join(",")}}`;
  }

  #wrongText({ minLength, maxLength, pattern, format }: JsonObject, value: string): string | null {
    this.#spend(value.length);
    // In code points, as the schema counts.
    const wrongLength = wrongCount(Array.from(value).length, "characters", minLength, maxLength);
    if (wrongLength !== null) return wrongLength;
    if (pattern !== undefined && !this.#fits(textOf("pattern", pattern), value)) return "does not match the pattern";
    return format === undefined ? null : wrongFormat(textOf("format", format), value);
  }

  #fits(source: string, text: string): boolean {
    let pattern = this.#patterns.get(source);
    if (!pattern) {
      pattern = compile(source);
      this.#spend(source.length + pattern.steps.length);
      this.#patterns.set(source, pattern);
    }
    return matches(pattern, text, this.#spend);
  }

  #wrongArray({ minItems, maxItems, uniqueItems }: JsonObject, value: readonly Json[]): string | null {
    const why = wrongCount(value.length, "items", minItems, maxItems);
    if (why !== null || uniqueItems !== true) return why;
    const isUnique = new Set(value.map((one) => this.#canonical(one))).size === value.length;
    return isUnique ? null : "has two equal items";
  }

  #wrongObject(schema: JsonObject, value: JsonObject): string | null {
    const names = Object.keys(value);
    this.#spend(names.length);
    return (
      wrongCount(names.length, "properties", schema["minProperties"], schema["maxProperties"]) ??
      this.#missing(schema["required"], value) ??
      this.#missingBeside(schema["dependentRequired"], value) ??
      this.#wrongName(schema["propertyNames"], names)
    );
  }

  #missing(required: Json | undefined, value: JsonObject): string | null {
    const names = listOf("required", required);
    this.#spend(names.length);
    const name = names.find((one) => !Object.hasOwn(value, textOf("required", one)));
    return name === undefined ? null : `has no property ${JSON.stringify(name)}`;
  }

  #missingBeside(dependent: Json | undefined, value: JsonObject): string | null {
    for (const [name, required] of mapOf("dependentRequired", dependent)) {
      this.#spend(1);
      const missing = Object.hasOwn(value, name) ? this.#missing(required, value) : null;
      if (missing !== null) return missing;
    }
    return null;
  }

  #wrongName(schema: Json | undefined, names: readonly string[]): string | null {
    const bad = schema === undefined ? undefined : names.find((name) => this.find(schema, name, "").fault !== null);
    return bad === undefined ? null : `has a property whose name is not allowed: ${JSON.stringify(bad.slice(0, 50))}`;
  }

  /** Other schemas for the same value. @returns what is wrong; null: nothing */
  #inPlace(schema: JsonObject, place: Place): Finding | null {
    for (const one of [...this.#alsoAsked(schema, place.value), ...this.#branch(schema, place)]) {
      const found = this.find(one, place.value, place.at);
      if (found.fault !== null) return found;
      this.#add(place, found);
    }
    const { not, anyOf, oneOf } = schema;
    if (not !== undefined && this.find(not, place.value, place.at).fault === null) {
      return wrong(place.at, "is what it must not be");
    }
    return this.#choice("anyOf", anyOf, place) ?? this.#choice("oneOf", oneOf, place, 1);
  }

  #alsoAsked(schema: JsonObject, value: Json): readonly Json[] {
    const refs = ["$ref", "$recursiveRef"].flatMap((keyword) => {
      const ref = schema[keyword];
      return ref === undefined ? [] : [partOf(this.#root, textOf(keyword, ref))];
    });
    return [...refs, ...listOf("allOf", schema["allOf"]), ...(isObject(value) ? this.#dependent(schema, value) : [])];
  }

  #dependent(schema: JsonObject, value: JsonObject): Json[] {
    const all = ["dependencies", "dependentSchemas"].flatMap((keyword) => mapOf(keyword, schema[keyword]));
    this.#spend(all.length);
    const asked = all.filter(([name]) => Object.hasOwn(value, name));
    return asked.map(([, one]) => (Array.isArray(one) ? { required: one } : one));
  }

  #branch(schema: JsonObject, place: Place): Json[] {
    if (schema["if"] === undefined) return [];
    const found = this.find(schema["if"], place.value, place.at);
    if (found.fault === null) this.#add(place, found);
    const branch = schema[found.fault === null ? "then" : "else"];
    return branch === undefined ? [] : [branch];
  }

  #choice(keyword: string, choices: Json | undefined, place: Place, most = Number.POSITIVE_INFINITY): Finding | null {
    if (choices === undefined) return null;
    const found = listOf(keyword, choices).map((one) => this.find(one, place.value, place.at));
    const fitting = found.filter(({ fault }) => fault === null);
    for (const one of fitting) this.#add(place, one);
    if (fitting.length === 0) return found.at(-1) ?? wrong(place.at, `has no choice in ${keyword}`);
    return fitting.length > most ? wrong(place.at, `is what ${fitting.length} of the choices ask for, not one`) : null;
  }

  #add({ seen }: Place, more: Finding): void {
    this.#spend(more.seen.size);
    for (const one of more.seen) seen.add(one);
  }

  /** What is asked of what lies in the value. */
  #inside(schema: JsonObject, place: Place): Finding | null {
    const { value } = place;
    if (Array.isArray(value)) return this.#items(schema, { ...place, value });
    return isObject(value) ? this.#properties(schema, { ...place, value }) : null;
  }

  #items(schema: JsonObject, place: Place<Json[]>): Finding | null {
    const { items } = schema;
    const first = Array.isArray(items) ? items : listOf("prefixItems", schema["prefixItems"]);
    const rest = Array.isArray(items) ? schema["additionalItems"] : items;
    const entries = Object.entries(place.value);
    const asked = entries.map(([, one], index) => ({ one, schema: index < first.length ? first[index] : rest }));
    return (
      this.#each(asked, place) ??
      this.#contained(schema, place) ??
      this.#unseen(schema["unevaluatedItems"], entries, place)
    );
  }

  /** Of each item what its schema asks; absent: nothing. */
  #each(asked: readonly { one: Json; schema: Json | undefined }[], { at, seen }: Place): Finding | null {
    for (const [index, { one, schema }] of asked.entries()) {
      if (schema === undefined) continue;
      const found = this.find(schema, one, `${at}/${index}`);
      if (found.fault !== null) return found;
      seen.add(String(index));
    }
    return null;
  }

  #contained(schema: JsonObject, { value, at, seen }: Place<Json[]>): Finding | null {
    const { contains, minContains = 1, maxContains } = schema;
    if (contains === undefined) return null;
    const fitting = [...value.entries()].filter(([, one]) => this.find(contains, one, at).fault === null);
    for (const [index] of fitting) seen.add(String(index));
    const why = wrongCount(fitting.length, "items that fit what it has to contain", minContains, maxContains);
    return why === null ? null : wrong(at, why);
  }

  #properties(schema: JsonObject, place: Place<JsonObject>): Finding | null {
    const entries = Object.entries(place.value);
    for (const [name, one] of entries) {
      for (const part of this.#askedOf(name, schema)) {
        const found = this.find(part, one, `${place.at}/${name}`);
        if (found.fault !== null) return found;
        place.seen.add(name);
      }
    }
    return this.#unseen(schema["unevaluatedProperties"], entries, place);
  }

  #askedOf(name: string, schema: JsonObject): Json[] {
    const { properties, patternProperties, additionalProperties } = schema;
    const asked = mapOf("patternProperties", patternProperties)
      .filter(([source]) => this.#fits(source, name))
      .map(([, part]) => part);
    const own = isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (own !== undefined) asked.push(own);
    return asked.length > 0 || additionalProperties === undefined ? asked : [additionalProperties];
  }

  #unseen(schema: Json | undefined, entries: readonly [string, Json][], { at, seen }: Place): Finding | null {
    if (schema === undefined) return null;
    for (const [name, one] of entries.filter(([name]) => !seen.has(name))) {
      const found = this.find(schema, one, `${at}/${name}`);
      if (found.fault !== null) return found;
      seen.add(name);
    }
    return null;
  }
}
