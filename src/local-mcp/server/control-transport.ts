import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";
import { afterEventMethod } from "../front/control.ts";
import type { DeferredWork } from "../hooks/run-hook.ts";

/** Separates the front's requests from the client's. A front is trusted: it is the same program. */
export function withControl(
  inner: Transport,
  run: (work: DeferredWork) => Promise<void>,
  onClosed: () => void,
): Transport {
  const outer: Transport = {
    async start() {
      // oxlint-disable unicorn/prefer-add-event-listener -- a transport of the SDK is no EventTarget
      inner.onmessage = (message, extra) => {
        if ("method" in message && "id" in message && message.method === afterEventMethod)
          void answer(inner, message, run);
        else outer.onmessage?.(message, extra);
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
