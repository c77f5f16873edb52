/** Pure: fields of foreign JSON. A wrong kind counts as missing; nothing throws. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function asObject(value: unknown): JsonObject | null {
  return isRecord(value) ? value : null;
}

/** @returns undefined for a text that is not JSON */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A text that is not JSON stands for itself. */
export function jsonOrText(text: string): unknown {
  const value = parseJson(text);
  return value === undefined ? text : value;
}

export function parseObject(text: string): JsonObject | null {
  return asObject(parseJson(text));
}

export function objectAt(from: JsonObject | null, key: string): JsonObject | null {
  return asObject(from?.[key]);
}

export function listAt(from: JsonObject | null, key: string): readonly unknown[] {
  const value = from?.[key];
  return Array.isArray(value) ? value : [];
}

/** Refuses a longer text instead of cutting it: it may be an id or a path. */
export function textAt(from: JsonObject | null, key: string, maxLength = Infinity): string | null {
  const value = from?.[key];
  return typeof value === "string" && value.length > 0 && value.length <= maxLength ? value : null;
}

export function numberAt(from: JsonObject | null, key: string, max = Number.MAX_SAFE_INTEGER): number | null {
  const value = from?.[key];
  return typeof value === "number" && value >= 0 && value <= max ? value : null;
}

export function pick(from: unknown, names: readonly string[]): Record<string, unknown> {
  if (typeof from !== "object" || from === null) return {};
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

export function pickFields<T extends object, Name extends keyof T & string>(
  from: T,
  names: readonly Name[],
): Pick<T, Name> {
  return pick(from, names) as Pick<T, Name>;
}

/** Pure. Where a JSON object ends in a text that holds more, in linear time. */

const structural = /["{}]/g;
const stringEnd = /["\\]/g;

/** @returns the position behind the object that begins at `start`; null: it has no end */
export function endOfObject(text: string, start: number): number | null {
  let depth = 0;
  for (let at = start; ;) {
    structural.lastIndex = at;
    const found = structural.exec(text);
    if (found === null) return null;
    at = found.index + 1;
    if (found[0] === "{") depth += 1;
    else if (found[0] === "}") {
      depth -= 1;
      if (depth === 0) return at;
    } else {
      const end = endOfString(text, at);
      if (end === null) return null;
      at = end;
    }
  }
}

function endOfString(text: string, start: number): number | null {
  for (let at = start; ;) {
    stringEnd.lastIndex = at;
    const found = stringEnd.exec(text);
    if (found === null) return null;
    if (found[0] === '"') return found.index + 1;
    at = found.index + 2;
  }
}
