import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeConfig } from "../authority.ts";
import { addressOf } from "../edge/address.ts";
import { ask } from "../edge/http.ts";
import type { Outside } from "../edge/outside.ts";
import type { SyncCall } from "./sync-call.ts";

/** A push of four megabytes may be on its way for long, in ms. */
const patienceMs = 60_000;

/**
 * Over HTTP, once: what is sealed does not fit a frame, and the sync itself repeats.
 *
 * @param signal aborted: nobody waits for an answer any more
 */
export function edgeCall(
  { url, workspace, token }: Pick<EdgeConfig, "url" | "workspace" | "token">,
  outside: Pick<Outside, "clock" | "setTimer" | "fetch">,
  signal: AbortSignal,
): Result<SyncCall, string> {
  const address = addressOf(url, workspace);
  if (!address.ok) return address;
  const way = { outside, address: address.value, token, signal };
  return ok(async (name, input) => {
    const outcome = await ask(way, name, input, patienceMs);
    if (outcome.kind === "answered") return outcome.result;
    return err({ code: outcome.kind === "lost" ? "unreachable" : "bad_answer", message: outcome.message });
  });
}
