import type * as z from "zod";

/** What a contract refuses, in words: which field, and what is allowed there. Pure. */
export function problemsOf({ issues }: Pick<z.ZodError, "issues">): string {
  return issues.map(problemOf).join("; ").slice(0, 1_000);
}

function problemOf(issue: z.core.$ZodIssue): string {
  const field = issue.path.map(String).join(".");
  return field === "" ? allowed(issue) : `${field}: ${allowed(issue)}`;
}

function allowed(issue: z.core.$ZodIssue): string {
  if (issue.code === "too_big") return `at most ${issue.maximum}${unitOf(issue.origin)}`;
  if (issue.code === "too_small") return `at least ${issue.minimum}${unitOf(issue.origin)}`;
  if (issue.code === "invalid_type") return typeOf(issue.expected, issue.message);
  return chosen(issue) ?? issue.message;
}

function chosen(issue: z.core.$ZodIssue): string | null {
  if (issue.code === "unrecognized_keys") {
    return `no such field: ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}`;
  }
  if (issue.code === "invalid_value") return `one of ${issue.values.map(String).join(", ")}`;
  return issue.code === "invalid_union" ? unionOf(issue) : null;
}

function typeOf(expected: string, message: string): string {
  if (message.endsWith("received undefined")) return "is missing";
  return expected === "int" ? "must be a whole number" : `must be a ${expected}`;
}

function unitOf(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " of them" : "";
}

/** Of values that are told apart by a field, which ones there are; of two kinds of values, what both of them allow. */
function unionOf({ message, errors }: z.core.$ZodIssueInvalidUnion): string {
  const expected = /Expected (.*)$/.exec(message)?.[1];
  if (expected !== undefined) return `one of ${expected.replaceAll(" | ", ", ")}`;
  const [one, other] = errors.map(([first]) => (first ? allowed(first) : ""));
  return errors.length === 2 && one !== other ? `${one}, or ${other}` : "is missing, or not a JSON value";
}
