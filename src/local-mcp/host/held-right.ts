import type { InputOf } from "../../contract/operations.ts";
import type { WorkspaceClient } from "../../coordinator-client/client.ts";
import { newId, pause, untilAborted, within } from "../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import { marginMs } from "../../coordinator-client/edge/trust.ts";
import { redact } from "../../redaction/redact.ts";
import { err, ok } from "../../shared/result.ts";
import type { HeldRight, HostResult, RightRequest, Workspace } from "./host.ts";
import { toHostError } from "./workspace-errors.ts";

type Holder = Pick<Workspace, "machine" | "process"> & {
  readonly client: WorkspaceClient;
  /** Name of the coordinator in an error when it did not answer. */
  readonly answerer: string;
};

const leaveTimeoutMs = 5_000;
const longestWaitMs = 3_600_000;
const retryMs = 5_000;

/** [CL33] [CL100] The client renews the right and knows how long to trust it. */
export async function holdRight(
  holder: Holder,
  request: RightRequest,
  stop: AbortSignal,
): Promise<HostResult<HeldRight>> {
  for (;;) {
    const held = await acquireOnce(holder, request, stop);
    if (held.ok) return held;
    if (stop.aborted) {
      const what = request.kind === "lock" ? "the lease was granted" : "this process led";
      return err({ code: "interrupted", message: `interrupted before ${what}.` });
    }
    const isTaken = held.error.code === "lease_held";
    const isAgain = isTaken ? request.waitMs === null : held.error.isTransient === true && request.isPatient === true;
    if (!isAgain) return held;
    if (!isTaken) await pause(nodePlatform(), retryMs, stop);
  }
}

async function acquireOnce(
  holder: Holder,
  { kind, name: asGiven, ttlMs, waitMs }: RightRequest,
  stop: AbortSignal,
): Promise<HostResult<HeldRight>> {
  const { client, answerer } = holder;
  const registered = await client.register(toRunChat(holder, kind));
  if (!registered.ok) return err(toHostError(registered.error, answerer));
  const lost = new AbortController();
  const lose = (reason: string): void => lost.abort(reason);
  const name = redact(asGiven).text;
  const timing = { ttlMs, waitMs: waitMs ?? longestWaitMs };
  const resource = kind === "lock" ? name : `leader:${name}`;
  const stopListening = onRightLost(client, resource, ttlMs, lose);
  const release = async (): Promise<void> => {
    stopListening();
    await client.leave(leaveTimeoutMs);
  };
  const acquiring =
    kind === "lock"
      ? client.hold({ resource, ...timing }, { onLost: lose })
      : client.lead({ name, ...timing }, { onLost: lose });
  const acquired = await untilAborted(acquiring, stop);
  if (acquired?.ok) {
    const lease = acquired.value;
    const releaseAll = async (): Promise<void> => {
      await within(nodePlatform(), leaveTimeoutMs, lease.release());
      await release();
    };
    return ok({ token: lease.token, lost: lost.signal, release: releaseAll });
  }
  await release();
  if (acquired === null) return err({ code: "interrupted", message: "interrupted." });
  const { code, message } = acquired.error;
  return err(code === "lease_held" ? { code, message: `${message}.` } : toHostError(acquired.error, answerer));
}

/** One chat per run, so its leases belong to no other command. */
function toRunChat({ machine, process }: Holder, kind: RightRequest["kind"]): InputOf<"chats.register"> {
  const name = machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 80);
  const [prefix, client] = kind === "lock" ? ["run", "shim team locks run"] : ["lead", "shim team leaders run"];
  const chat = `${prefix}-${name}-${newId(nodePlatform()).slice(-12)}`;
  return { chat, session: chat, process, machine, client, role: "worker", capacity: 0, isInteractive: false };
}

/** Calls `lose` also for a lease that stays doubtful past its ttl. @returns stops listening */
function onRightLost(
  client: WorkspaceClient,
  resource: string,
  ttlMs: number,
  lose: (reason: string) => void,
): () => void {
  let doubt: NodeJS.Timeout | undefined;
  const stops = [
    client.onLost(lose),
    client.on((event) => {
      if (event.type !== "right" || event.name !== resource) return;
      clearTimeout(doubt);
      // After a clock jump the lease is confirmed in a moment.
      if (event.state === "doubtful") doubt = setTimeout(() => lose(event.reason), marginMs(ttlMs));
    }),
  ];
  return () => {
    clearTimeout(doubt);
    for (const stop of stops) stop();
  };
}
