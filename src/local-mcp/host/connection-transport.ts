import type { Duplex } from "node:stream";
import { parseJSONRPCMessage, type JSONRPCMessage, type Transport } from "@modelcontextprotocol/server";
import { hookTool } from "../../contract/hook-tool.ts";
import { messageOf } from "../../shared/error.ts";
import { asObject, parseJson } from "../../shared/json-fields.ts";
import { controlMethods } from "../front/hello.ts";
import { invalidRequest, eachLine, maxLineBytes, tooLongText } from "../front/lines.ts";

/** A front whose client does not read what it has asked for is not read either. */
const maxUnreadBytes = 256 * 1024;
/** Messages that wait for their turn, each of which may have an answer of many kilobytes. */
const maxUntaken = 8;
/** JSON-RPC 2.0, section 5.1. */
const internalError = -32_603;

/** Messages between the host and one front. */
export class ConnectionTransport implements Transport {
  onclose?: NonNullable<Transport["onclose"]>;
  onerror?: NonNullable<Transport["onerror"]>;
  onmessage?: NonNullable<Transport["onmessage"]>;
  readonly #connection: Duplex;
  #untaken = 0;
  #isClosed = false;

  constructor(connection: Duplex) {
    this.#connection = connection;
  }

  async start(): Promise<void> {
    eachLine(this.#connection, {
      onLine: (line) => this.#receive(line),
      onLongLine: ({ id, isRequest }) => this.#refuse(isRequest ? id : null, `this line is refused: ${tooLongText}`),
    });
    for (const event of ["end", "close", "error"]) this.#connection.once(event, () => void this.close());
    this.#connection.on("drain", () => this.#holdBack());
  }

  /** The turn of a message has come. */
  taken(): void {
    this.#untaken -= 1;
    this.#holdBack();
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#isClosed) throw new Error("the connection is closed");
    const line = `${JSON.stringify(message)}\n`;
    const isTooLong = Buffer.byteLength(line) > maxLineBytes && "id" in message;
    this.#write(isTooLong ? errorLine(message.id, internalError, `the answer is left out: ${tooLongText}`) : line);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onclose?.();
  }

  #receive(line: string): void {
    if (this.#isClosed) return;
    let message: JSONRPCMessage;
    try {
      message = parseJSONRPCMessage(parseJson(line));
    } catch (error) {
      this.onerror?.(new Error(messageOf(error)));
      // With the id of a request only: a response has one of this side.
      const { id, result, error: failure } = asObject(parseJson(line)) ?? {};
      const isAsked = result === undefined && failure === undefined && ["string", "number"].includes(typeof id);
      return this.#refuse(isAsked ? id : null, "this is JSON but no message of JSON-RPC 2.0 as MCP defines it");
    }
    this.#untaken += 1;
    this.onmessage?.(message);
    this.#holdBack();
  }

  #refuse(id: unknown, message: string): void {
    if (!this.#isClosed) this.#write(errorLine(id, invalidRequest, message));
  }

  #write(line: string): void {
    this.#connection.write(line);
    this.#holdBack();
  }

  #holdBack(): void {
    const connection = this.#connection;
    if (connection.writableLength > maxUnreadBytes || this.#untaken > maxUntaken) connection.pause();
    else if (connection.isPaused()) connection.resume();
  }
}

function errorLine(id: unknown, code: number, message: string): string {
  return `${JSON.stringify({ jsonrpc: "2.0", id: id ?? null, error: { code, message } })}\n`;
}

export interface Control {
  /** The transport listens. */
  readonly onStart: () => void;
  /** Runs it behind the messages before it, when other chats had their turns. */
  readonly inTurn: (work: () => void) => void;
  /** Answers the event of a hook. Never rejects. @param gone the client waits no more */
  readonly onHook: (given: unknown, gone: AbortSignal) => Promise<Record<string, unknown>>;
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
  /** Events without an answer. */
  const waiting = new Map<unknown, AbortController>();
  const answerHook = (id: Request["id"], given: unknown): void => {
    const gone = new AbortController();
    waiting.set(id, gone);
    const result = control.onHook(given, gone.signal);
    void result.then((answer) => {
      if (waiting.get(id) === gone) waiting.delete(id);
      return gone.signal.aborted ? undefined : reply(id, answer);
    });
  };
  const handle = ({ id, method, params }: Request): boolean => {
    if (method === "tools/call" && params?.["name"] === hookTool) answerHook(id, params["arguments"]);
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
          if ("method" in message && message.method === "notifications/cancelled")
            waiting.get(message.params?.["requestId"])?.abort();
          control.onMessage(message);
          outer.onmessage?.(message, extra);
        });
      };
      inner.onclose = () => {
        for (const gone of waiting.values()) gone.abort();
        control.inTurn(() => {
          outer.onclose?.();
          control.onClosed();
        });
      };
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
