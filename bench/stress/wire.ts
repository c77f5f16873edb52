import { flowMarkMethod, flowReadMethod } from "../../src/contract/protocol.ts";

/** One request of a frame. */
export interface Call {
  readonly method: string;
  readonly params: object;
}

/** What became of one request. */
export interface Answer {
  readonly id?: number | null;
  readonly result?: Record<string, unknown>;
  readonly error?: {
    readonly message: string;
    readonly data: { readonly code: string; readonly retryAfterMs?: number };
  };
}

/** A socket that may be refused, closed or throttled: nothing of that throws. */
export class StressSocket {
  readonly #socket: WebSocket;
  readonly #waiting: ((answers: readonly Answer[] | null) => void)[] = [];
  #id = 0;
  /** Why it was closed; null while it is open. */
  closedWith: number | null = null;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(String(data)));
    socket.addEventListener("close", ({ code }) => {
      this.closedWith = code;
      for (const waiting of this.#waiting.splice(0)) waiting(null);
    });
  }

  /** @param workspace its URL @returns null: it was refused */
  static async open(workspace: string, token: string): Promise<StressSocket | null> {
    const headers = { authorization: `Bearer ${token}` };
    const socket = new WebSocket(`${workspace.replace("http", "ws")}/connect`, { headers });
    return new Promise((resolve) => {
      socket.addEventListener("open", () => resolve(new StressSocket(socket)), { once: true });
      socket.addEventListener("error", () => resolve(null), { once: true });
    });
  }

  #take(text: string): void {
    if (text === "pong") return;
    const message = JSON.parse(text) as { method?: string; params?: object } | readonly Answer[];
    if (Array.isArray(message)) return this.#waiting.shift()?.(message as readonly Answer[]);
    const { method, params } = message as { method?: string; params?: object };
    const isMark = method === flowMarkMethod && this.#socket.readyState === WebSocket.OPEN;
    if (isMark) this.#socket.send(JSON.stringify({ jsonrpc: "2.0", method: flowReadMethod, params }));
  }

  /** @returns null: it was closed before the answer came */
  frame(calls: readonly Call[]): Promise<readonly Answer[] | null> {
    if (this.closedWith !== null) return Promise.resolve(null);
    const { promise, resolve } = Promise.withResolvers<readonly Answer[] | null>();
    this.#waiting.push(resolve);
    this.#socket.send(JSON.stringify(calls.map((call) => ({ jsonrpc: "2.0", id: (this.#id += 1), ...call }))));
    return promise;
  }

  ping(): void {
    if (this.closedWith === null) this.#socket.send("ping");
  }

  close(): void {
    this.#socket.close();
  }
}

/** A chat that has registered over a socket of its own. */
export interface StressChat {
  readonly socket: StressSocket;
  readonly self: { readonly chat: string; readonly incarnation: number };
}

export async function aChat(workspace: string, token: string, machine: string, chat: string): Promise<StressChat> {
  const socket = await StressSocket.open(workspace, token);
  if (!socket) throw new Error(`chat ${chat} got no socket`);
  const params = { chat, session: chat, process: chat, machine, client: "stress", capacity: 5, isInteractive: false };
  const [answer] = (await socket.frame([{ method: "chats.register", params }])) ?? [];
  const incarnation = answer?.result?.["incarnation"];
  if (typeof incarnation !== "number") throw new Error(`chat ${chat}: ${answer?.error?.message ?? "closed"}`);
  return { socket, self: { chat, incarnation } };
}
