import type * as z from "zod";

export function formatIssues({ issues }: Pick<z.ZodError, "issues">): string {
  return issues.map(formatIssue).join("; ").slice(0, 1_000);
}

function formatIssue(issue: z.core.$ZodIssue): string {
  const field = issue.path.map(String).join(".");
  return field === "" ? formatConstraint(issue) : `${field}: ${formatConstraint(issue)}`;
}

function formatConstraint(issue: z.core.$ZodIssue): string {
  if (issue.code === "too_big") return `at most ${issue.maximum}${formatUnit(issue.origin)}`;
  if (issue.code === "too_small") return `at least ${issue.minimum}${formatUnit(issue.origin)}`;
  if (issue.code === "invalid_type") return formatType(issue.expected, issue.message);
  return formatChoices(issue) ?? issue.message;
}

function formatChoices(issue: z.core.$ZodIssue): string | null {
  if (issue.code === "unrecognized_keys") {
    return `no such field: ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}`;
  }
  if (issue.code === "invalid_value") return `one of ${issue.values.map(String).join(", ")}`;
  return issue.code === "invalid_union" ? formatUnion(issue) : null;
}

function formatType(expected: string, message: string): string {
  if (message.endsWith("received undefined")) return "is missing";
  return expected === "int" ? "must be a whole number" : `must be a ${expected}`;
}

function formatUnit(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " of them" : "";
}

function formatUnion({ message, errors }: z.core.$ZodIssueInvalidUnion): string {
  const [, expected] = message.split("Expected ", 2);
  if (expected !== undefined) return `one of ${expected.replaceAll(" | ", ", ")}`;
  const [one, other] = errors.map(([first]) => (first ? formatConstraint(first) : ""));
  return errors.length === 2 && one !== other ? `${one}, or ${other}` : "is missing, or not a JSON value";
}

/** A sentence without the name of the operation, which a person has not typed. */
export function badInputText(message: string): string {
  return message.replace(/^[a-z]+\.[a-z-]+: /, "").replace(/\.?$/, ".");
}
