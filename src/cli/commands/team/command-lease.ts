import type { InputOf } from "../../../contract/operations.ts";
import { codeOf, messageOf } from "../../../shared/error.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { exitCodes, failed, type FailedResult } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { edgeFailure, isRefusal, localChatLink, type CoordinatorLink } from "../../coordinator-link.ts";
import type { EdgeEvent } from "../../../coordinator-client/edge/events.ts";
import type { HeldLease, LeaseError } from "../../../coordinator-client/edge/held-lease.ts";
import type { HoldOptions } from "../../../coordinator-client/edge/lease-acquirer.ts";
import { nodePlatform } from "../../../coordinator-client/edge/node-platform.ts";
import { newId, untilAborted, within } from "../../../coordinator-client/edge/platform.ts";
import { marginMs } from "../../../coordinator-client/edge/trust.ts";
import { LocalLeaseClient, type LeaseClient } from "../../../coordinator-client/local-lease-client.ts";
import { redact } from "../../../redaction/redact.ts";

export interface LeaseTiming {
  readonly ttlMs: number;
  readonly waitMs: number;
}

export interface LeaseRequest extends LeaseTiming {
  readonly resource: string;
  hold(client: LeaseClient, options: HoldOptions): Promise<Result<HeldLease, LeaseError>>;
}

/** [RD12] Names are redacted here, since a lease is not asked for through the link. */
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

export interface CommandLease {
  readonly token: number;
  /** Aborted when the lease may not be relied on any more; the reason is a text. */
  readonly lost: AbortSignal;
  /** Ends the chat too, within a few seconds; without an answer the ttl ends the lease. */
  release(): Promise<void>;
}

const releaseTimeoutMs = 5_000;

/** [CL33] One chat per run, so its leases belong to no other command. */
export async function acquireLease(
  link: CoordinatorLink,
  request: LeaseRequest,
  stop: AbortSignal,
  kind: "run" | "lead" = "run",
): Promise<Result<CommandLease, FailedResult["error"]>> {
  const platform = nodePlatform();
  const client = link.edge ?? new LocalLeaseClient(localChatLink(link, platform), platform);
  const registered = await client.register(toRunChat(link, kind));
  if (!registered.ok) return toFailure(link, registered.error);
  const lost = new AbortController();
  const lose = (reason: string): void => lost.abort(reason);
  const stopListening = onLeaseLost(client, request, lose);
  const acquired = await untilAborted(request.hold(client, { onLost: lose }), stop);
  const leave = async (): Promise<void> => {
    stopListening();
    if (acquired?.ok) await acquired.value.release();
    await client.unregister();
  };
  const release = async (): Promise<void> => void (await within(platform, releaseTimeoutMs, leave()));
  if (acquired?.ok) return ok({ token: acquired.value.token, lost: lost.signal, release });
  await release();
  return acquired ? toFailure(link, acquired.error) : interruptedBefore();
}

function toRunChat({ machine, process }: CoordinatorLink, kind: "run" | "lead"): InputOf<"chats.register"> {
  const name = machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 80);
  const chat = `${kind}-${name}-${newId(nodePlatform()).slice(-12)}`;
  const client = kind === "run" ? "shim lease run" : "shim lead";
  return { chat, session: chat, process, machine, client, role: "worker", capacity: 0, isInteractive: false };
}

/** Calls `lose` also for a lease that stays doubtful past its ttl. @returns stops listening */
function onLeaseLost(
  client: LeaseClient,
  { resource, ttlMs }: LeaseRequest,
  lose: (reason: string) => void,
): () => void {
  let doubt: NodeJS.Timeout | undefined;
  const listener = (event: EdgeEvent): void => {
    if (event.type === "state" && event.state === "closed") return lose(event.reason);
    if (event.type === "chat-lost") return lose(event.error.message);
    if (event.type !== "right" || event.name !== resource) return;
    clearTimeout(doubt);
    // After a clock jump the lease is confirmed in a moment.
    if (event.state === "doubtful") doubt = setTimeout(() => lose(event.reason), marginMs(ttlMs));
  };
  const stop = client.on(listener);
  return () => {
    clearTimeout(doubt);
    stop();
  };
}

/** An error of this machine's store keeps its code. */
function toFailure({ edge }: CoordinatorLink, error: LeaseError): FailedResult {
  const { code, message } = error;
  if (code === "lease_held") return err({ exit: exitCodes.leaseNotGot, code, message: `${message}.` });
  return edge || isRefusal(error) ? edgeFailure(error) : failed(code, message);
}

export function interruptedBefore(what = "the lease was got"): FailedResult {
  return err({ exit: exitCodes.interrupted, code: "interrupted", message: `interrupted before ${what}.` });
}

export type CommandWords = readonly [program: string, ...args: string[]];

export type RunEnd =
  | { readonly end: "exit"; readonly exit: number }
  | { readonly end: "lost"; readonly reason: string };

/** [CL33] [CL100] Runs a command until it ends, its lease is lost, or it is interrupted. */
export async function runUnder(
  { io }: Cli,
  { lost }: CommandLease,
  [command, ...args]: CommandWords,
  extraEnv: Readonly<Record<string, string>>,
  stop: AbortSignal,
): Promise<Result<RunEnd, FailedResult["error"]>> {
  const group = io.startGroup({ command, args, cwd: io.cwd, env: { ...io.env, ...extraEnv } });
  const stopOrLost = AbortSignal.any([stop, lost]);
  const end = (): void => void group.end(graceMs);
  stopOrLost.addEventListener("abort", end, { once: true });
  if (stopOrLost.aborted) end();
  try {
    const exit = await group.ended;
    return ok(lost.aborted ? { end: "lost", reason: String(lost.reason) } : { end: "exit", exit });
  } catch (error) {
    return notStarted(command, error);
  } finally {
    stopOrLost.removeEventListener("abort", end);
  }
}

const graceMs = 5_000;

function notStarted(command: string, error: unknown): FailedResult {
  const isMissing = codeOf(error) === "ENOENT";
  const message = isMissing ? `there is no program ${command}.` : `${command} cannot be started: ${messageOf(error)}.`;
  return err({ exit: isMissing ? exitCodes.noSuchProgram : exitCodes.notStartable, code: "not_started", message });
}
