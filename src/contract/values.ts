import * as z from "zod";

/** Ids that clients choose: chats, sessions, requests. Nothing that a path or log must escape. */
export const Id = z.string().regex(/^[\w.:@-]{1,128}$/, "1 to 128 letters, digits and . : @ _ -");

/** UTF-8 maps lone surrogates to one character: two names would be stored as one. */
export function whole(text: z.ZodString): z.ZodString {
  return text.refine((value) => value.isWellFormed(), "it contains half of a character (a lone surrogate)");
}

export const Label = whole(z.string().regex(/^[^\p{Cc}]{1,200}$/u, "1 to 200 characters without control characters"));

export const Workspace = z.string().regex(/^[a-z0-9][a-z0-9-]{1,62}$/, "2 to 63 lower case letters, digits and -");

export const Self = z.strictObject({
  chat: Id,
  /** Number from `chats.register`; an older process of the same chat is refused. */
  incarnation: z.int().min(1),
});
export type Self = z.infer<typeof Self>;
export const exampleSelf: Self = { chat: "c1", incarnation: 1 };

export const durationMs = z.int().min(0);
/** Grows; below 2^53 forever. */
export const counter = z.int().min(0);

export const Cursor = z.string().max(600);
/** Number of the last row of a page. */
export const NumberCursor = z.string().regex(/^\d{1,15}$/, "the cursor of an answer");
export const limit = (max: number, defaultLimit: number) => z.int().min(1).max(max).default(defaultLimit);

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

const checked = z.unknown().refine(isJson, { error: "not a JSON value", abort: true });

/** Any JSON value; the parsed value is the given one, not a copy. */
export const Json = checked as unknown as z.ZodType<Json, Json>;

export function limitedJson(maxChars: number): z.ZodType<Json, Json> {
  return Json.refine((value) => writeText(value).length <= maxChars, `at most ${maxChars} characters as JSON`);
}

/** Recursive; what comes from outside is checked for its depth first. */
function isJson(value: unknown): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  return typeof value === "object" ? areAllJson(value) : Number.isFinite(value);
}

/** Loops cost a third of `every`. */
function areAllJson(parts: object): boolean {
  if (Array.isArray(parts)) {
    for (const part of parts) if (!isJson(part)) return false;
    return true;
  }
  const prototype: unknown = Object.getPrototypeOf(parts);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const key in parts) if (!isJson((parts as Record<string, unknown>)[key])) return false;
  return true;
}

/** Texts of objects that a limit has measured; each check of an input replaces the text. */
const texts = new WeakMap<object, string>();

/** Below it another text costs less than an entry of the map. */
const minKeptChars = 256;

function writeText(value: Json): string {
  const text = JSON.stringify(value);
  if (typeof value === "object" && value !== null) {
    if (text.length >= minKeptChars) texts.set(value, text);
    else texts.delete(value);
  }
  return text;
}

/** JSON text of a value of a checked input with a limit; a long one is not written twice. */
export function jsonText(value: Json): string {
  return (typeof value === "object" && value !== null && texts.get(value)) || JSON.stringify(value);
}
