import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";
import { hookTool } from "../../contract/hook-tool.ts";
import type { ConnectionTransport } from "./connection-transport.ts";
import { controlMethods } from "../front/hello.ts";

export interface Control {
  /** The transport listens. */
  readonly onStart: () => void;
  /** Runs it behind the messages before it, when other chats had their turns. */
  readonly inTurn: (work: () => void) => void;
  /** Answers the event of a hook. Never rejects. */
  readonly onHook: (given: unknown) => Promise<Record<string, unknown>>;
  /** The front ends; `reason` as sessions record it. */
  readonly onEnd: (reason: string) => void;
  readonly onHandOver: () => void;
  readonly onClosed: () => void;
  readonly onMessage: (message: JSONRPCMessage) => void;
}

type Request = Extract<JSONRPCMessage, { id: unknown; method: string }>;

/** Separates hook events and the front's own requests from the client's messages. */
export function withControl(inner: ConnectionTransport, control: Control): Transport {
  const reply = (id: Request["id"], result: Record<string, unknown>): void =>
    void inner.send({ jsonrpc: "2.0", id, result }).catch((error: unknown) => inner.onerror?.(error as Error));
  const answerAtOnce = ({ id, method }: Request): boolean => {
    if (method === controlMethods.ping) reply(id, {});
    else if (method === controlMethods.handOver) control.onHandOver();
    else return false;
    return true;
  };
  const handle = ({ id, method, params }: Request): boolean => {
    if (method === "tools/call" && params?.["name"] === hookTool)
      void control.onHook(params["arguments"]).then((result) => reply(id, result));
    else if (method === controlMethods.end) control.onEnd(String(params?.["reason"]));
    else return false;
    return true;
  };
  const outer: Transport = {
    async start() {
      // oxlint-disable unicorn/prefer-add-event-listener -- a transport of the SDK is no EventTarget
      inner.onmessage = (message, extra) => {
        if ("method" in message && "id" in message && answerAtOnce(message)) return inner.taken();
        control.inTurn(() => {
          inner.taken();
          if ("method" in message && "id" in message && handle(message)) return;
          control.onMessage(message);
          outer.onmessage?.(message, extra);
        });
      };
      inner.onclose = () =>
        control.inTurn(() => {
          outer.onclose?.();
          control.onClosed();
        });
      inner.onerror = (error) => outer.onerror?.(error);
      // oxlint-enable unicorn/prefer-add-event-listener
      await inner.start();
      control.onStart();
    },
    send: (message) => inner.send(message),
    close: () => inner.close(),
  };
  return outer;
}
