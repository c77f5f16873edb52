/** A coordinator under workerd and clients that speak the wire, as lean as can be: what is measured is the coordinator. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

export class Desk {
  readonly #miniflare: Miniflare;
  readonly #folder: string;
  readonly #url: string;
  readonly #token: string;

  private constructor(miniflare: Miniflare, folder: string, url: string, token: string) {
    this.#miniflare = miniflare;
    this.#folder = folder;
    this.#url = url;
    this.#token = token;
  }

  static async open(isCounting: boolean): Promise<Desk> {
    const outfile = ".scratch/bench-edge/worker.mjs";
    await build({
      entryPoints: ["bench/edge/counting-worker.ts"],
      bundle: true,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*", "node:*"],
      target: "es2024",
      outfile,
    });
    // On a disk: durability is what is compared.
    const folder = mkdtempSync(join(process.cwd(), ".scratch", "bench-edge-"));
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        name: "shim",
        host: "127.0.0.1",
        port: 0,
        modules: true,
        scriptPath: outfile,
        compatibilityDate: "2026-09-30",
        durableObjects: { COORDINATOR: { className: "ChatCoordinator", useSQLite: true } },
        bindings: { SHIM_SIGNING_SECRET: "bench", SHIM_ADMIN_SECRET: "bench", COUNT_ROWS: isCounting ? "1" : "0" },
        resourcePersistencePath: folder,
      }),
    );
    const url = (await miniflare.ready).origin;
    const made = await fetch(`${url}/v1/workspaces`, {
      method: "POST",
      headers: { authorization: "Bearer bench" },
      body: JSON.stringify({ workspace: "bench" }),
    });
    const { token } = (await made.json()) as { token: string };
    return new Desk(miniflare, folder, `${url}/v1/workspaces/bench`, token);
  }

  async client(chat: string): Promise<WireClient> {
    const address = `${this.#url.replace("http", "ws")}/connect?chat=${chat}`;
    const headers = { authorization: `Bearer ${this.#token}` };
    const socket = new WebSocket(address, { headers });
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve(), { once: true });
      socket.addEventListener("error", () => reject(new Error("the socket did not open")), { once: true });
    });
    const client = new WireClient(socket, chat);
    await client.register();
    return client;
  }

  async set(settings: Record<string, number>): Promise<void> {
    const answer = await fetch(`${this.#url}/settings`, {
      method: "PUT",
      headers: { authorization: `Bearer ${this.#token}` },
      body: JSON.stringify({ settings }),
    });
    if (!answer.ok) throw new Error(await answer.text());
  }

  async close(): Promise<void> {
    await this.#miniflare.dispose();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface Counted {
  readonly read: number;
  readonly written: number;
  readonly alarms: number;
  readonly starts: number;
  readonly events: number;
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
      if (text.startsWith('{"jsonrpc":"2.0","method"')) this.onNotification(text);
      else this.#waiting.shift()?.(text);
    });
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

  register(): Promise<unknown> {
    const { chat } = this;
    return this.call("chats.register", { chat, session: chat, process: chat, machine: "bench", client: "bench" });
  }

  close(): void {
    this.#socket.close();
  }
}

interface Answer {
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}
