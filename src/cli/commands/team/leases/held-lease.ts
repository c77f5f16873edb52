import { err } from "../../../../shared/result.ts";
import { exitCodes, type FailedResult } from "../../../answer.ts";
import type { CoordinatorLink } from "../../../coordinator-link.ts";
import { newId } from "../../../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../../../coordinator-client/edge/node-platform.ts";
import type { InputOf } from "../../../../contract/operations.ts";

export interface CommandLease {
  readonly token: number;
  /** Aborted when the lease may not be relied on any more; the reason is a text. */
  readonly lost: AbortSignal;
  /** Ends the chat too, within a few seconds; without an answer the ttl ends the lease. */
  release(): Promise<void>;
}

/** One chat per run, so its leases belong to no other command. */
export function toRunChat(
  { machine, process }: CoordinatorLink,
  kind: "run" | "lead" = "run",
): InputOf<"chats.register"> {
  const name = machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 80);
  const chat = `${kind}-${name}-${newId(nodePlatform()).slice(-12)}`;
  const client = kind === "run" ? "shim lease run" : "shim lead";
  return { chat, session: chat, process, machine, client, role: "worker", capacity: 0, isInteractive: false };
}

export function interruptedBefore(what = "the lease was got"): FailedResult {
  return err({ exit: exitCodes.interrupted, code: "interrupted", message: `interrupted before ${what}.` });
}
