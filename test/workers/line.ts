import { flowMarkMethod, flowReadMethod, pingText, pongText } from "#src/contract/protocol.ts";
import type { Message } from "./connection.ts";

/** The client's end of a socket on which several questions may be open at a time; what it is told beside them is not kept. */
export class Line {
  /** Once either side has closed. */
  readonly closed: Promise<void>;
  isOpen = true;
  readonly #socket: WebSocket;
  readonly #asked = new Map<number, (answer: Message | null) => void>();
  readonly #pinged: (() => void)[] = [];
  #next = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.addEventListener("message", ({ data }) => this.#take(String(data)));
    socket.addEventListener("close", () => {
      this.isOpen = false;
      for (const answer of this.#asked.values()) answer(null);
      for (const pong of this.#pinged) pong();
      resolve();
    });
    socket.accept();
  }

  #take(text: string): void {
    if (text === pongText) return this.#pinged.shift()?.();
    const message = JSON.parse(text) as Message;
    if (message.method === flowMarkMethod && this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", method: flowReadMethod, params: message.params }));
    }
    if (typeof message.id !== "number") return;
    this.#asked.get(message.id)?.(message);
    this.#asked.delete(message.id);
  }

  /** Null: the line was closed before the question arrived. */
  ask(method: string, params: unknown): Promise<Message | null> {
    const { promise, resolve } = Promise.withResolvers<Message | null>();
    if (!this.isOpen) return Promise.resolve(null);
    const id = (this.#next += 1);
    this.#asked.set(id, resolve);
    this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return promise;
  }

  ping(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!this.isOpen) return Promise.resolve();
    this.#pinged.push(resolve);
    this.#socket.send(pingText);
    return promise;
  }

  close(): Promise<void> {
    if (this.isOpen) this.#socket.close(1000);
    return this.closed;
  }
}
