import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { requestHost, type HostRequest } from "../../platform/host-request.ts";
import { checkSocketFolder, hostSocket, SocketFolderError } from "../../platform/host-socket.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { builtAt } from "../../platform/version.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { err, ok } from "../../shared/result.ts";
import { reachHost, type HostHome } from "../front/reach-host.ts";
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
    const answer = await requestHost(socket, requestOf({ method, path, signal: AbortSignal.timeout(maxMs) }));
    return ok(answer === null ? null : (parseJson(await text(answer)) ?? null));
  } catch (error) {
    if (error instanceof SocketFolderError) return err({ code: "host_unusable", message: error.message });
    const message = `The host at ${socket} does not answer. The next message of a chat, or command that changes something, ends it and starts another.`;
    return err({ code: "host_unusable", message });
  }
}

/**
 * Asks the host, and starts one where none runs, or where it is older than this program.
 *
 * @throws {NoHostError} where none has started in time, or others may enter its folder
 * @throws {Error} where the connection was lost or the signal aborted: the host may have done it
 */
export function callHost(host: HostHome, question: HostQuestion): Promise<IncomingMessage> {
  return reachHost(host, requestOf(question));
}

/** Header with the time of the caller's build. */
export const builtAtHeader = "shim-built-at";

function requestOf({ method, path, body, signal }: HostQuestion): HostRequest {
  const headers = { [builtAtHeader]: String(builtAt) };
  return { method, path, headers, body: body === undefined ? undefined : JSON.stringify(body), signal };
}
