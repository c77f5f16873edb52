import type { Step } from "./scripted-model.ts";

/** An account without credit: Claude Code calls it a `billing_error`. */
export const claudeLimit: Step = {
  error: { status: 400, type: "invalid_request_error", message: "Your credit balance is too low." },
  times: 20,
};
