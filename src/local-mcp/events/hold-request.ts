import { hasUser } from "../../clients/adapter/attendance.ts";
import type { HookClient } from "../../contract/clients.ts";
import type { RequestDecision } from "../../contract/hooks.ts";
import * as life from "../../machine/sessions/life/row.ts";
import { type AskedPermission, endIfRun, toRequest, withdraw } from "../../machine/sessions/requests.ts";
import { setTimer } from "../../platform/timers.ts";
import type { PermissionRequest } from "../../runtime/permission-requests.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { watchWait } from "./watch-wait.ts";

export interface HeldHook {
  readonly client: HookClient;
  /** Aborted when the caller waits no more. */
  readonly gone: AbortSignal;
  /** Called before a wait. */
  readonly onHold?: () => void;
}

/**
 * Shows the request of a hook, and holds the hook where the request can be answered from elsewhere.
 *
 * @param asked in one hook
 * @returns the decision; null: without one
 */
export async function holdRequest(
  runtime: Runtime,
  asked: readonly AskedPermission[],
  { client, gone, onHold }: HeldHook,
): Promise<RequestDecision | null> {
  const request = toRequest(runtime, asked, { client, hasUser: hasUser(runtime.env) });
  if (request === null || gone.aborted) return null;
  const { permissions } = runtime;
  const decided = permissions.open(request);
  watchWait(runtime, request.session, () => endIfOver(runtime, request));
  if (request.reason !== null) return null;
  onHold?.();
  const end = (): void => withdraw(runtime, request.id);
  gone.addEventListener("abort", end, { once: true });
  const cancel = setTimer(() => permissions.end(request.id, "time"), request.endsAt - request.askedAt);
  const decision = await decided;
  cancel();
  gone.removeEventListener("abort", end);
  return decision;
}

/** Ends the request where its command is seen to run, or its transcript has the end of its turn. */
function endIfOver(runtime: Runtime, request: PermissionRequest): boolean {
  if (endIfRun(runtime, request)) return true;
  const { turn = null } = runtime.store.read((sql) => life.read(sql, request.session), null) ?? {};
  if (request.agent !== null || turn === null || turn.over === null) return false;
  runtime.permissions.end(request.id, "passed");
  return true;
}
