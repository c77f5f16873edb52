import { request, type RequestOptions } from "node:http";
import { RunningHost } from "../../contract/machine/host.ts";
import { checkSocketFolder, hostSocket, SocketFolderError } from "../../platform/host-socket.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { codeOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { err, ok } from "../../shared/result.ts";
import type { HandlerContext, Handlers } from "./handlers.ts";
import type { HostResult } from "./host.ts";

export const hostHandlers: Handlers<"host.status" | "host.stop"> = {
  "host.status": (context) => askHost(context, "GET", "/status"),
  "host.stop": (context) => askHost(context, "POST", "/stop"),
};

/** A host answers within milliseconds unless it hangs. */
const maxAnswerMs = 5_000;

export async function askHost(
  { paths }: Pick<HandlerContext, "paths">,
  method: string,
  path: string,
): Promise<HostResult<{ host: RunningHost | null }>> {
  const socketPath = hostSocket(paths.home, systemProcesses.boot());
  try {
    checkSocketFolder(paths.home, socketPath);
    const answer = await send({ socketPath, method, path, signal: AbortSignal.timeout(maxAnswerMs) });
    return ok({ host: RunningHost.parse(parseJson(answer)) });
  } catch (error) {
    const isNone = ["ENOENT", "ECONNREFUSED"].includes(codeOf(error) ?? "");
    if (isNone) return ok({ host: null });
    if (error instanceof SocketFolderError) return err({ code: "host_unusable", message: error.message });
    const message = `The host at ${socketPath} does not answer. The next message of a chat ends it and starts another.`;
    return err({ code: "host_unusable", message });
  }
}

function send(options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end();
  });
}
