import type { Step } from "./scripted-model.ts";

/** An account without credit: Claude Code calls it a `billing_error`. */
export const claudeLimit: Step = {
  error: { status: 400, type: "invalid_request_error", message: "Your credit balance is too low." },
  times: 20,
};

/** The five-hour limit of a plan, which Claude Code takes for one with the token of a plan ({@link planEnv}). */
export function planLimit(resetsAtMs: number): Step {
  const prefix = "anthropic-ratelimit-unified";
  const resets = String(Math.floor(resetsAtMs / 1_000));
  const headers = {
    [`${prefix}-status`]: "rejected",
    [`${prefix}-reset`]: resets,
    [`${prefix}-representative-claim`]: "five_hour",
    [`${prefix}-overage-status`]: "rejected",
    [`${prefix}-5h-status`]: "rejected",
    [`${prefix}-5h-reset`]: resets,
    [`${prefix}-5h-utilization`]: "1.02",
  };
  const message = "This request would exceed your account's rate limit. Please try again later.";
  return { error: { status: 429, type: "rate_limit_error", message, headers }, times: 20 };
}

export const planEnv = { ANTHROPIC_API_KEY: "", CLAUDE_CODE_OAUTH_TOKEN: "sk-ant-oat01-no-real-token" };

/** Codex takes it for the limit of a plan. */
export const codexLimit: Step = {
  error: { status: 429, type: "usage_limit_reached", message: "The usage limit has been reached" },
  times: 20,
};
