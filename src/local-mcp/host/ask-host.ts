import { request, type RequestOptions } from "node:http";
import { text } from "node:stream/consumers";
import { checkSocketFolder, hostSocket, SocketFolderError } from "../../platform/host-socket.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { codeOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { err, ok } from "../../shared/result.ts";
import type { HandlerContext } from "./handlers.ts";
import type { HostResult } from "./host.ts";

/** A host answers within milliseconds unless it hangs. */
const usualMs = 5_000;

/** @returns the answer of the running host as JSON; null where none runs */
export async function askHost(
  { paths }: Pick<HandlerContext, "paths">,
  method: "GET" | "POST",
  path: string,
  maxMs = usualMs,
): Promise<HostResult<unknown>> {
  const socketPath = hostSocket(paths.home, systemProcesses.boot());
  try {
    checkSocketFolder(paths.home, socketPath);
    return ok(parseJson(await send({ socketPath, method, path, signal: AbortSignal.timeout(maxMs) })) ?? null);
  } catch (error) {
    if (["ENOENT", "ECONNREFUSED"].includes(codeOf(error) ?? "")) return ok(null);
    if (error instanceof SocketFolderError) return err({ code: "host_unusable", message: error.message });
    const message = `The host at ${socketPath} does not answer. The next message of a chat ends it and starts another.`;
    return err({ code: "host_unusable", message });
  }
}

function send(options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    request(options, (response) => void text(response).then(resolve, reject))
      .on("error", reject)
      .end();
  });
}
