import { isDeepStrictEqual } from "node:util";
import { isRecord, type JsonObject } from "../shared/json-fields.ts";
import { json } from "./json-text.ts";
import { valueAt, type SettingPath, type Settings, type TextFormat } from "./settings.ts";
import { toml } from "./toml-text.ts";

/** Edits the text of a settings file by its values, whatever its format. Pure. */

export function formatOf(path: string): TextFormat {
  return path.endsWith(".toml") ? toml : json;
}

/**
 * [IN4] Carries a change of the values into the text and leaves every other byte alone. A list may
 * lose items and get new ones at its end.
 *
 * @param original the file before SHIM: what the change empties goes, unless the user had it before
 */
export function update(
  format: TextFormat,
  text: string,
  change: (root: Settings) => void,
  original: JsonObject = {},
): string {
  const before = format.read(text);
  const origins = new Map<unknown, unknown>();
  const after = copyOf(before, origins) as Settings;
  change(after);
  return new Update(format, origins, original).carry(text, [], before, after);
}

/** @param origins gets for each copied object and list what it is a copy of */
function copyOf(value: unknown, origins: Map<unknown, unknown>): unknown {
  if (!isRecord(value) && !Array.isArray(value)) return value;
  // A date of TOML has no fields.
  if (value instanceof Date) return value;
  const copy = Array.isArray(value)
    ? value.map((item) => copyOf(item, origins))
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item, origins)]));
  origins.set(copy, value);
  return copy;
}

class Update {
  readonly #format: TextFormat;
  readonly #origins: ReadonlyMap<unknown, unknown>;
  readonly #original: JsonObject;

  constructor(format: TextFormat, origins: ReadonlyMap<unknown, unknown>, original: JsonObject) {
    this.#format = format;
    this.#origins = origins;
    this.#original = original;
  }

  carry(text: string, path: SettingPath, before: unknown, after: unknown): string {
    if (isDeepStrictEqual(before, after)) return text;
    const isSame = this.#origins.get(after) === before;
    if (isSame && isRecord(before) && isRecord(after))
      return this.#pruned(this.#object(text, path, before, after), path);
    if (isSame && Array.isArray(before) && Array.isArray(after))
      return this.#pruned(this.#list(text, path, before, after), path);
    return this.#format.set(text, path, after);
  }

  #object(text: string, path: SettingPath, before: Settings, after: Settings): string {
    const lost = Object.keys(before).filter((key) => after[key] === undefined);
    const rest = lost.reduce((left, key) => this.#format.remove(left, [...path, key]), text);
    return Object.keys(after)
      .filter((key) => after[key] !== undefined)
      .reduce((left, key) => this.carry(left, [...path, key], before[key], after[key]), rest);
  }

  #list(text: string, path: SettingPath, before: readonly unknown[], after: readonly unknown[]): string {
    let next = 0;
    const indexes = after.map((item) => {
      const at = before.indexOf(this.#origins.get(item) ?? item, next);
      if (at >= 0) next = at + 1;
      return at;
    });
    const rest = before.reduceRight<string>(
      (left, _item, at) => (indexes.includes(at) ? left : this.#format.remove(left, [...path, at])),
      text,
    );
    return after.reduce<string>(
      (left, item, at) => this.carry(left, [...path, at], before[indexes[at] ?? -1], item),
      rest,
    );
  }

  #pruned(text: string, path: SettingPath): string {
    const isNamed = path.length > 0 && path.every((key) => typeof key === "string");
    const isOurs = isNamed && valueAt(this.#original, path) === undefined;
    return isOurs && this.#format.isEmptyAt(text, path) ? this.#format.remove(text, path) : text;
  }
}
