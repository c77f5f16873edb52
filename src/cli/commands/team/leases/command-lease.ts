import type { CallError } from "../../../../contract/errors.ts";
import type { InputOf } from "../../../../contract/operations.ts";
import type { CoordinatorClient } from "../../../../coordinator-client/coordinator-client.ts";
import { newId, untilAborted, within } from "../../../../coordinator-client/edge/platform.ts";
import type { HeldLease } from "../../../../coordinator-client/edge/held-lease.ts";
import type { HoldOptions } from "../../../../coordinator-client/edge/lease-acquirer.ts";
import { nodePlatform } from "../../../../coordinator-client/edge/node-platform.ts";
import { marginMs } from "../../../../coordinator-client/edge/trust.ts";
import { redact } from "../../../../redaction/redact.ts";
import { toHostError } from "../../../../local-mcp/host/workspace-errors.ts";
import { err, ok, type Result } from "../../../../shared/result.ts";
import { exitCodes, type FailedResult } from "../../../answer.ts";
import type { Workspace } from "../../../../local-mcp/host/host.ts";

export interface CommandLease {
  readonly token: number;
  /** Aborted when the lease may not be relied on any more; the reason is a text. */
  readonly lost: AbortSignal;
  /** Ends the chat too, within a few seconds; without an answer the ttl ends the lease. */
  release(): Promise<void>;
}

export interface LeaseRequest {
  readonly resource: string;
  readonly ttlMs: number;
  readonly waitMs: number;
  hold(client: CoordinatorClient, options: HoldOptions): Promise<Result<HeldLease, CallError>>;
}

interface LeaseTiming {
  readonly ttlMs: number;
  readonly waitMs: number;
}

const leaveTimeoutMs = 5_000;

export function leaseRequest(name: string, timing: LeaseTiming): LeaseRequest {
  const resource = redact(name).text;
  return { resource, ...timing, hold: (client, options) => client.hold({ resource, ...timing }, options) };
}

export function termRequest(election: string, timing: LeaseTiming): LeaseRequest {
  const name = redact(election).text;
  return {
    resource: `leader:${name}`,
    ...timing,
    hold: (client, options) => client.lead({ name, ...timing }, options),
  };
}

/** [CL33] The client renews the lease and knows how long to trust it. */
export async function acquireLease(
  link: Workspace,
  request: LeaseRequest,
  stop: AbortSignal,
  kind: "run" | "lead" = "run",
): Promise<Result<CommandLease, FailedResult["error"]>> {
  const { client } = link;
  const registered = await client.register(toRunChat(link, kind));
  if (!registered.ok) return err(toHostError(registered.error, link.where));
  const lost = new AbortController();
  const lose = (reason: string): void => lost.abort(reason);
  const stopListening = onLeaseLost(link, request, lose);
  const leaseResult = await untilAborted(request.hold(client, { onLost: lose }), stop);
  const release = async (): Promise<void> => {
    stopListening();
    await client.leave(leaveTimeoutMs);
  };
  if (leaseResult?.ok) {
    const lease = leaseResult.value;
    const releaseLease = async (): Promise<void> => {
      await within(nodePlatform(), leaveTimeoutMs, lease.release());
      await release();
    };
    return ok({ token: lease.token, lost: lost.signal, release: releaseLease });
  }
  await release();
  if (leaseResult === null) return interruptedBefore();
  const { error } = leaseResult;
  if (error.code !== "lease_held") return err(toHostError(error, link.where));
  return err({ exit: exitCodes.leaseNotGot, code: error.code, message: `${error.message}.` });
}

/** One chat per run, so its leases belong to no other command. */
function toRunChat({ machine, process }: Workspace, kind: "run" | "lead"): InputOf<"chats.register"> {
  const name = machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 80);
  const chat = `${kind}-${name}-${newId(nodePlatform()).slice(-12)}`;
  const client = kind === "run" ? "shim team locks run" : "shim team leaders run";
  return { chat, session: chat, process, machine, client, role: "worker", capacity: 0, isInteractive: false };
}

/** Calls `lose` also for a lease that stays doubtful past its ttl. @returns stops listening */
function onLeaseLost(
  { client }: Workspace,
  { resource, ttlMs }: LeaseRequest,
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

export function interruptedBefore(what = "the lease was granted"): FailedResult {
  return err({ exit: exitCodes.interrupted, code: "interrupted", message: `interrupted before ${what}.` });
}
