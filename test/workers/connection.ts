import type { WireError } from "#src/contract/protocol.ts";
import type { InputOf, OperationName, OutputOf } from "#src/contract/operations.ts";

/** What stands in a frame, request or answer. */
export interface Message {
  readonly jsonrpc?: string;
  readonly id?: string | number | null;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data: WireError };
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** The client's end of a socket: frames come in the order in which they were sent, and nothing waits for a time. */
export class Connection {
  readonly socket: WebSocket;
  /** Once either side has closed. */
  readonly closed: Promise<Closed>;
  readonly #frames: string[] = [];
  #arrived: (() => void) | null = null;
  #next = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<Closed>();
    this.closed = promise;
    socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    socket.addEventListener("message", ({ data }) => {
      this.#frames.push(String(data));
      this.#arrived?.();
    });
    socket.accept();
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  /** The text of the next frame. */
  async text(): Promise<string> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#arrived = resolve;
      await promise;
    }
  }

  async next(): Promise<Message> {
    return JSON.parse(await this.text()) as Message;
  }

  /** Asks, and answers what came before the answer, too. */
  async exchange(method: string, params: unknown): Promise<{ before: Message[]; answer: Message }> {
    const id = (this.#next += 1);
    this.send({ jsonrpc: "2.0", id, method, params });
    const before: Message[] = [];
    for (;;) {
      const message = await this.next();
      if (message.id === id) return { before, answer: message };
      before.push(message);
    }
  }

  /** An operation that succeeds; what was told in between is lost. */
  async ask<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<OutputOf<Name>> {
    const { answer } = await this.exchange(name, input);
    if (answer.error) throw new Error(`${name} was refused: ${JSON.stringify(answer.error.data)}`);
    return answer.result as OutputOf<Name>;
  }

  /** The code of a refusal; null: there is none. */
  async refusal(method: string, params: unknown): Promise<string | null> {
    return (await this.exchange(method, params)).answer.error?.data.code ?? null;
  }

  /** What it was told up to now: the answer to a question closes the list. */
  async told(): Promise<Message[]> {
    return (await this.exchange("settings.get", {})).before;
  }

  close(code = 1000): void {
    this.socket.close(code);
  }
}
