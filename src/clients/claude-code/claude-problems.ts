import type { Problem } from "../adapter/run-output.ts";

const problems = new Map<unknown, Problem>([
  ["authentication_failed", "machine"],
  ["oauth_org_not_allowed", "machine"],
  ["account_on_hold", "machine"],
  ["verification_required", "machine"],
  ["billing_error", "machine"],
  ["cloud_credential_error", "machine"],
  ["model_not_found", "model"],
  ["rate_limit", "service"],
  ["server_error", "service"],
  ["overloaded", "service"],
  ["unknown", "unknown"],
  ["invalid_request", "request"],
]);

/** @param word of Claude Code for an error of the API */
export function problemOf(word: unknown): Problem {
  return problems.get(word) ?? "other";
}
