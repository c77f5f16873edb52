import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";
import type { DeferredWork } from "../hooks/run-hook.ts";

/** Requests travel with the client's messages and never reach the MCP server. */

export const afterEventMethod = "shim/after-event";

/** [TE112] Sent by a worker that stays, without its front, until the client ends. */
export const witnessMethod = "shim/witness";

/** Marks control requests, whose answers must not reach the client. */
export const controlPrefix = "shim-front:";

const pidVariable = "SHIM_FRONT_PID";
const clientVariable = "SHIM_FRONT_CLIENT_PID";
const restartVariable = "SHIM_FRONT_RESTART";

export interface Front {
  readonly pid: number;
  readonly clientPid: number;
  readonly isRestart: boolean;
}

export function frontVariables({ pid, clientPid, isRestart }: Front): Record<string, string> {
  return { [pidVariable]: `${pid}`, [clientVariable]: `${clientPid}`, [restartVariable]: isRestart ? "1" : "" };
}

/** Variables may be inherited from further up, so the parent must be the front. */
export function frontOf(env: NodeJS.ProcessEnv, parent: number): Front | null {
  const pid = Number(env[pidVariable]);
  if (pid !== parent) return null;
  return { pid, clientPid: Number(env[clientVariable]), isRestart: env[restartVariable] === "1" };
}

/** Separates the front's requests from the client's. A front is trusted: it is the same program. */
export function withControl(
  inner: Transport,
  run: (work: DeferredWork) => Promise<void>,
  onClosed: () => void,
  onMessage: (message: JSONRPCMessage) => void,
): Transport {
  const outer: Transport = {
    async start() {
      // oxlint-disable unicorn/prefer-add-event-listener -- a transport of the SDK is no EventTarget
      inner.onmessage = (message, extra) => {
        if ("method" in message && "id" in message && message.method === afterEventMethod)
          void answer(inner, message, run);
        else {
          onMessage(message);
          outer.onmessage?.(message, extra);
        }
      };
      inner.onclose = () => {
        outer.onclose?.();
        onClosed();
      };
      inner.onerror = (error) => outer.onerror?.(error);
      // oxlint-enable unicorn/prefer-add-event-listener
      await inner.start();
    },
    send: (message, options) => inner.send(message, options),
    close: () => inner.close(),
  };
  return outer;
}

async function answer(
  inner: Transport,
  request: Extract<JSONRPCMessage, { id: unknown; method: string }>,
  run: (work: DeferredWork) => Promise<void>,
): Promise<void> {
  await run(request.params as unknown as DeferredWork).catch((error: unknown) =>
    inner.onerror?.(error instanceof Error ? error : new Error(String(error))),
  );
  await inner.send({ jsonrpc: "2.0", id: request.id, result: {} });
}
