import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { HostStatus } from "../../contract/machine/installation.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { checkSocketFolder, hostSocket, recallHost, SocketFolderError } from "../../platform/host-socket.ts";
import { requestHost } from "../../platform/local-http.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { codeOf, messageOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { ok, type Result } from "../../shared/result.ts";
import { toStoreError } from "../../store/store-error.ts";
import { requestOf, unusable, usualMs } from "./host-client.ts";
import { lastFailure } from "./reach-host.ts";

/** Interval at which one that was recalled is asked again. */
const recallMs = 50;

/** @returns the host as it was when it was asked */
export async function runningHost(
  { paths: { home } }: Pick<OperationContext, "paths">,
  ...[method, path]: ["GET", "/status"] | ["POST", "/stop"]
): Promise<Result<{ host: HostStatus | null; failure?: string }>> {
  const socket = hostSocket(home, systemProcesses.boot());
  try {
    checkSocketFolder(home, socket);
    const request = requestOf({ method, path, signal: AbortSignal.timeout(usualMs) });
    let answer = await requestHost(socket, request);
    while (answer === null && recallHost(home)) {
      await pause(recallMs, undefined, { signal: request.signal });
      answer = await requestHost(hostSocket(home, systemProcesses.boot()), request);
    }
    if (answer !== null) return ok({ host: HostStatus.parse(parseJson(await text(answer))) });
    const failure = lastFailure(home);
    return ok({ host: null, ...(failure !== "" && { failure }) });
  } catch (error) {
    if (error instanceof SocketFolderError) return unusable(error.message);
    if (codeOf(error) === "EACCES") return unusable(messageOf(toStoreError(error, socket)));
    return unusable(
      `The host at ${socket} does not answer. The next message of a chat, or command that changes something, ends it and starts another.`,
    );
  }
}
