import { isRecord, type JsonObject } from "../shared/json-fields.ts";

/** Values of a settings file; a change writes to them. */
export type Settings = Record<string, unknown>;
export type SettingPath = readonly (string | number)[];

/** Texts must be sound. A blank text counts as an empty object. */
export interface TextFormat {
  /** In words, with line and column; null for a sound text. */
  findProblem(text: string): string | null;
  read(text: string): Settings;
  /** Reindexes a value, or adds it at the end of what holds it. */
  set(text: string, path: SettingPath, value: unknown): string;
  remove(text: string, path: SettingPath): string;
  /** Whether nothing is in the object or list, and no comment in it or before it. */
  isEmptyAt(text: string, path: SettingPath): boolean;
}

export function valueAt(root: unknown, path: SettingPath): unknown {
  return path.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), root);
}

/** Empty where there is no object. */
export function objectAt(root: JsonObject, path: SettingPath): JsonObject {
  const value = valueAt(root, path);
  return isRecord(value) ? value : {};
}

/** The object to write to; made where there is none. Throws for another kind of value. */
export function objectIn(root: Settings, key: string): Settings {
  const value = (root[key] ??= {});
  if (!isRecord(value)) throw new Error(`${key} is no object`);
  return value;
}

/** The list to write to; made where there is none. Throws for another kind of value. */
export function listIn(root: Settings, key: string): unknown[] {
  const value = (root[key] ??= []);
  if (!Array.isArray(value)) throw new Error(`${key} is no list`);
  return value;
}
