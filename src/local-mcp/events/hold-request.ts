import type { HookClient } from "../../contract/clients.ts";
import { type AskedPermission, endIfRun, toRequest, withdraw } from "../../machine/sessions/requests.ts";
import { attempt } from "../../platform/log-file.ts";
import { setIdleTimer, setTimer } from "../../platform/timers.ts";
import type { GivenDecision, PermissionRequest } from "../../runtime/permission-requests.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithoutUser } from "./session-bounds.ts";

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
): Promise<GivenDecision | null> {
  const request = toRequest(runtime, asked, { client, isWithoutUser: isWithoutUser(runtime.env) });
  if (request === null || gone.aborted) return null;
  const { permissions } = runtime;
  const decided = permissions.open(request);
  if (request.run !== null) watchRun(runtime, request);
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

const runCheckMs = 1_000;

/** Until the request is over. */
function watchRun(runtime: Runtime, request: PermissionRequest): void {
  const check = async (): Promise<void> => {
    let isOver = false;
    await attempt(runtime.log, "an answer of the terminal was not stored", () => (isOver = endIfRun(runtime, request)));
    if (!isOver) watchRun(runtime, request);
  };
  setIdleTimer(() => void check(), runCheckMs);
}
