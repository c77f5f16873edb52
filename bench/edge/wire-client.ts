/** A client that speaks the wire, as lean as can be: what is measured is the coordinator. */
import { flowMarkMethod, flowReadMethod } from "../../src/contract/protocol.ts";

export interface Counted {
  readonly read: number;
  readonly written: number;
  readonly alarms: number;
  readonly starts: number;
  /** Frames that came over sockets. */
  readonly events: number;
  /** Operations over HTTP, looks that a token brought, and alarms that rang: each a request of its own. */
  readonly calls: number;
  readonly looks: number;
  readonly rings: number;
  /** Messages that went to the queue. */
  readonly tokens: number;
}

/** What a chat says of itself when it registers, beside its names. */
export interface About {
  readonly isInteractive?: boolean;
  readonly capabilities?: readonly string[];
  readonly capacity?: number;
  readonly taskTypes?: readonly string[];
}

interface Call {
  readonly method: string;
  readonly params: object;
}

/** One connection; calls are matched by their order, since the object answers in it. */
export class WireClient {
  readonly chat: string;
  readonly #socket: WebSocket;
  readonly #waiting: ((text: string) => void)[] = [];
  /** Notifications, as they come. */
  onNotification: (text: string) => void = () => undefined;
  #id = 0;

  constructor(socket: WebSocket, chat: string) {
    this.#socket = socket;
    this.chat = chat;
    socket.addEventListener("message", ({ data }) => {
      const text = String(data);
      if (text.startsWith(`{"jsonrpc":"2.0","method":"${flowMarkMethod}"`))
        socket.send(text.replace(flowMarkMethod, flowReadMethod));
      else if (text.startsWith('{"jsonrpc":"2.0","method"')) this.onNotification(text);
      else this.#waiting.shift()?.(text);
    });
  }

  /** Connects and registers. */
  static async connect(url: string, token: string, chat: string, about: About = {}): Promise<WireClient> {
    const headers = { authorization: `Bearer ${token}` };
    const socket = new WebSocket(`${url.replace("http", "ws")}/connect`, { headers });
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error("the socket did not open")), { once: true });
    });
    const client = new WireClient(socket, chat);
    await client.register(about);
    return client;
  }

  get self(): { chat: string; incarnation: number } {
    return { chat: this.chat, incarnation: 1 };
  }

  raw(text: string): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.send(text);
    });
  }

  async call<T = Record<string, unknown>>(method: string, params: object): Promise<T> {
    const answer = JSON.parse(await this.raw(JSON.stringify(this.#request({ method, params })))) as Answer;
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result as T;
  }

  async batch(calls: readonly Call[]): Promise<unknown[]> {
    const answers = JSON.parse(await this.raw(JSON.stringify(calls.map((call) => this.#request(call))))) as Answer[];
    for (const { error } of answers) if (error) throw new Error(error.message);
    return answers.map(({ result }) => result);
  }

  async counted(): Promise<Counted> {
    return (JSON.parse(await this.raw("counted")) as { counted: Counted }).counted;
  }

  #request({ method, params }: Call): object {
    return { jsonrpc: "2.0", id: (this.#id += 1), method, params };
  }

  register(about: About = {}): Promise<unknown> {
    const { chat } = this;
    const own = { chat, session: chat, process: chat, machine: "bench", client: "bench" };
    return this.call("chats.register", { ...own, ...about });
  }

  close(): void {
    this.#socket.close();
  }
}

interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

if (import.meta.main) {
  // A chat in a process of its own, which is ended from without: `node wire-client.ts <url> <token> <chat>`.
  const [url = "", token = "", chat = ""] = process.argv.slice(2);
  const client = await WireClient.connect(url, token, chat, { isInteractive: false });
  await client.call("leases.acquire", { self: client.self, resource: `of-${chat}`, requestId: "r", isBound: true });
  setInterval(() => void client.raw("ping"), 10_000);
  console.log("holds");
}
