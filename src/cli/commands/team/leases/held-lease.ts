import { err } from "../../../../shared/result.ts";
import { exitCodes, type FailedResult } from "../../../answer.ts";
import type { CoordinatorLink } from "../../../coordinator-link.ts";
import { newId } from "../../../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../../../coordinator-client/edge/node-platform.ts";
import type { InputOf } from "../../../../contract/operations.ts";

/** Held and renewed until it is given back or lost. */
export interface CommandLease {
  readonly token: number;
  /** Aborted when nobody may rely on it any more; the reason is a text. */
  readonly lost: AbortSignal;
  /** The chat goes with it. Takes a few seconds at most, also when nobody answers: then the lease ends with its ttl. */
  release(): Promise<void>;
}

/** One chat for each run: what it holds is nobody else's. */
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
