import { visible } from "./visible-text.ts";

export { age } from "../contract/age.ts";

export function clip(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 20)} ... [${text.length - max + 20} more]`;
}

/**
 * Untrusted text on one line of at most so many characters, the rest cut with a mark; what is not
 * seen, or acts on a terminal, is left out.
 */
export function oneLine(text: string, max = Number.POSITIVE_INFINITY): string {
  const line = visible(text).replaceAll(/\s+/g, " ").trim();
  return line.length <= max ? line : `${line.slice(0, Math.max(0, max - 3))}...`;
}

export function pluralize(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** The first of many, and how many more there are. */
export function firstOf(texts: readonly string[], max: number): string {
  const more = texts.length - max;
  return `${texts.slice(0, max).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** @param of what they are parts of: "of its transcript" */
export function unreadParts(count: number, of: string): string {
  return `${pluralize(count, "part")} ${of} could not be read or ${count === 1 ? "is" : "are"} missing`;
}
