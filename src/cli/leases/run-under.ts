import { codeOf, messageOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { exitCodes, type Refused } from "../answer.ts";
import type { Cli } from "../cli.ts";
import type { Coordination } from "../coordination.ts";
import { takeOnEdge } from "./edge-lease.ts";
import { aRunningChat, type KeptLease } from "./kept-lease.ts";
import { takeHere } from "./local-lease.ts";
import type { WantedRight } from "./wanted-right.ts";

export type CommandWords = readonly [program: string, ...args: string[]];

/** Takes a right as a chat of its own. */
export function takeRight(
  cli: Cli,
  link: Coordination,
  wanted: WantedRight,
  stop: AbortSignal,
  kind: "run" | "lead" = "run",
): Promise<Result<KeptLease, Refused["error"]>> {
  const chat = aRunningChat(link, kind);
  return link.edge ? takeOnEdge(link.edge, chat, wanted, stop) : takeHere(cli.io, link, chat, wanted, stop);
}

export type Ran = { readonly end: "exit"; readonly exit: number } | { readonly end: "lost"; readonly reason: string };

/** [CL33] [CL100] Runs a command until it ends, the right it runs under is lost, or it is to stop. */
export async function runUnder(
  { io }: Cli,
  { lost }: KeptLease,
  [command, ...args]: CommandWords,
  given: Readonly<Record<string, string>>,
  stop: AbortSignal,
): Promise<Result<Ran, Refused["error"]>> {
  const group = io.startGroup({ command, args, cwd: io.cwd, env: { ...io.env, ...given } });
  const over = AbortSignal.any([stop, lost]);
  const end = (): void => void group.end(graceMs);
  over.addEventListener("abort", end, { once: true });
  if (over.aborted) end();
  try {
    const exit = await group.ended;
    return ok(lost.aborted ? { end: "lost", reason: String(lost.reason) } : { end: "exit", exit });
  } catch (error) {
    return notStarted(command, error);
  } finally {
    over.removeEventListener("abort", end);
  }
}

/** Between TERM and KILL. */
const graceMs = 5_000;

function notStarted(command: string, error: unknown): Refused {
  const isMissing = codeOf(error) === "ENOENT";
  const message = isMissing ? `there is no program ${command}.` : `${command} cannot be started: ${messageOf(error)}.`;
  return err({ exit: isMissing ? exitCodes.noSuchProgram : exitCodes.notStartable, code: "not_started", message });
}
