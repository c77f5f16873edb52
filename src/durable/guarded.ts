import type { Refusal } from "../contract/errors.ts";
import { stackOf } from "../shared/error.ts";
import { err, type Result } from "../shared/result.ts";
import { report } from "./report.ts";
import { undoing } from "./transactions.ts";

/** [DO18] A bug is logged with its stack and answered without it. */
export function guarded(work: () => Result<unknown, Refusal>): Result<unknown, Refusal> {
  try {
    return work();
  } catch (error) {
    if (error === undoing) throw error;
    report("an operation failed", { error: stackOf(error) });
    return err({ code: "internal", message: "the coordinator failed; nothing was changed", retryAfterMs: 1_000 });
  }
}
