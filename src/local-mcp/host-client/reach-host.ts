import type { IncomingMessage } from "node:http";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { requestHost, type HostRequest } from "../../platform/local-http.ts";
import { checkSocketFolder, hostSocket } from "../../platform/host-socket.ts";
import type { Launch } from "../../platform/shim-command.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { messageOf } from "../../shared/error.ts";
import { maxStartMs, reserveStart, retryMs, startHost } from "./start-host.ts";

/** A host of a home, for a process beside it. */
export interface HostHome {
  readonly home: string;
  readonly launch: Launch;
  readonly env: NodeJS.ProcessEnv;
}

/** Nothing was asked: no host could be started. */
export class NoHostError extends Error {
  override readonly name = "NoHostError";
}

/** Status of a host that ends, since the caller's program is newer. */
export const handsOver = 426;

/**
 * Asks the host, and starts one where none runs, or where it hands over to a newer one.
 *
 * @param maxMs for the start of a host; 0: none is started
 * @throws {NoHostError} where none has started in time, or others may enter its folder
 * @throws {Error} where the connection was lost or the signal aborted: a host may have done it
 */
export async function reachHost(
  { home, launch, env }: HostHome,
  request: HostRequest,
  maxMs = maxStartMs,
): Promise<IncomingMessage> {
  const socket = hostSocket(home, systemProcesses.boot());
  const program = join(dirname(launch.hookScript), "mcp-host.cjs");
  const giveUpAt = performance.now() + maxMs;
  for (;;) {
    orNoHost(() => checkSocketFolder(home, socket));
    const answer = await requestHost(socket, request);
    if (answer !== null && answer.statusCode !== handsOver) return answer;
    if (answer !== null) reserveStart(home);
    answer?.resume();
    if (performance.now() > giveUpAt)
      throw new NoHostError(`no host has started at ${socket}; host.log in ${home} says why`);
    if (answer === null) orNoHost(() => startHost({ home, socket, program, env }));
    await pause(retryMs);
    request.signal.throwIfAborted();
  }
}

function orNoHost(attempt: () => void): void {
  try {
    attempt();
  } catch (error) {
    throw new NoHostError(messageOf(error), { cause: error });
  }
}
