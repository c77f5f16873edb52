import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { parseAddress } from "../../coordinator-client/edge/address.ts";
import { send } from "../../coordinator-client/edge/http-transport.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import type { SyncCall } from "./sync-call.ts";

/** A push of four megabytes may be on its way for long, in ms. */
const timeoutMs = 60_000;

/**
 * Over HTTP, once: what is sealed does not fit a frame, and the sync itself repeats.
 *
 * @param signal aborted: nobody waits for an answer any more
 */
export function createSyncCall(
  { url, workspace, token }: Pick<EdgeConfig, "url" | "workspace" | "token">,
  platform: Pick<Platform, "clock" | "setTimer" | "fetch">,
  signal: AbortSignal,
): Result<SyncCall, string> {
  const address = parseAddress(url, workspace);
  if (!address.ok) return address;
  const transport = { platform, address: address.value, token, signal };
  return ok(async (name, input) => {
    const outcome = await send(transport, name, input, timeoutMs);
    if (outcome.kind === "answered") return outcome.result;
    return err({ code: outcome.kind === "lost" ? "unreachable" : "bad_answer", message: outcome.message });
  });
}
