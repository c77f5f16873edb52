import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { parseAddress } from "../../coordinator-client/edge/address.ts";
import { send } from "../../coordinator-client/edge/http-transport.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import type { SyncCall } from "./sync-call.ts";

/** Timeout in ms; a push of four megabytes can take long. */
const timeoutMs = 60_000;

/** Calls once over HTTP: sealed content does not fit a frame, and the sync itself retries. */
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
