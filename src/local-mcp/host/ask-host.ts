import { request, type IncomingMessage } from "node:http";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { checkSocketFolder, hostSocket, SocketFolderError } from "../../platform/host-socket.ts";
import type { Launch } from "../../platform/launch.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { builtAt } from "../../platform/version.ts";
import { codeOf, messageOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { err, ok } from "../../shared/result.ts";
import { maxStartMs, retryMs, startHost } from "../front/start-host.ts";
import type { HostResult } from "./host.ts";

/** A host answers within milliseconds unless it hangs. */
const usualMs = 5_000;

export interface HostQuestion {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Ends the wait for the answer. */
  readonly signal: AbortSignal;
}

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

/** @returns the answer of the running host as JSON; null where none runs */
export async function askHost(
  home: string,
  method: HostQuestion["method"],
  path: string,
  maxMs = usualMs,
): Promise<HostResult<unknown>> {
  const socket = hostSocket(home, systemProcesses.boot());
  try {
    checkSocketFolder(home, socket);
    const answer = await send(socket, { method, path, signal: AbortSignal.timeout(maxMs) });
    return ok(answer === null ? null : (parseJson(await text(answer)) ?? null));
  } catch (error) {
    if (error instanceof SocketFolderError) return err({ code: "host_unusable", message: error.message });
    const message = `The host at ${socket} does not answer. The next message of a chat ends it and starts another.`;
    return err({ code: "host_unusable", message });
  }
}

/**
 * Asks the host, and starts one where none runs, or where it is older than this program.
 *
 * @throws {NoHostError} where none has started in time, or others may enter its folder
 * @throws {Error} where the connection was lost or `signal` aborted: the host may have done it
 */
export async function callHost({ home, launch, env }: HostHome, question: HostQuestion): Promise<IncomingMessage> {
  const socket = hostSocket(home, systemProcesses.boot());
  const program = join(dirname(launch.hookScript), "mcp-host.cjs");
  const giveUpAt = performance.now() + maxStartMs;
  for (;;) {
    orNoHost(() => checkSocketFolder(home, socket));
    const answer = await send(socket, question);
    if (answer !== null && answer.statusCode !== handsOver) return answer;
    answer?.resume();
    if (performance.now() > giveUpAt)
      throw new NoHostError(`no host has started at ${socket}; host.log in ${home} says why`);
    if (answer === null) orNoHost(() => startHost({ home, socket, program, env }));
    await pause(retryMs, undefined, { signal: question.signal });
  }
}

function orNoHost(attempt: () => void): void {
  try {
    attempt();
  } catch (error) {
    throw new NoHostError(messageOf(error), { cause: error });
  }
}

/** Status of a host that ends, since the caller's program is newer. */
export const handsOver = 426;
/** Header with the time of the caller's build. */
export const builtAtHeader = "shim-built-at";

/** Resolves to null where no host listens. */
function send(socketPath: string, { method, path, body, signal }: HostQuestion): Promise<IncomingMessage | null> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, signal, headers: { [builtAtHeader]: builtAt } }, resolve);
    sent.on("error", (error) => {
      if (["ENOENT", "ECONNREFUSED"].includes(codeOf(error) ?? "")) return resolve(null);
      reject(error);
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
