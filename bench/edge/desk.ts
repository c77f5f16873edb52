/** A coordinator under workerd and clients that speak the wire, as lean as can be: what is measured is the coordinator. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { bundle } from "../../scripts/local-edge.ts";
import { WireClient, type About } from "./wire-client.ts";

export class Desk {
  readonly #miniflare: Miniflare;
  readonly #folder: string;
  /** Of the workspace. */
  readonly url: string;
  readonly token: string;

  private constructor(miniflare: Miniflare, folder: string, url: string, token: string) {
    this.#miniflare = miniflare;
    this.#folder = folder;
    this.url = url;
    this.token = token;
  }

  static async open(isCounting: boolean): Promise<Desk> {
    const outfile = ".scratch/bench-edge/worker.mjs";
    await bundle("bench/edge/counting-worker.ts", outfile);
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
        durableObjects: {
          COORDINATOR: { className: "ChatCoordinator", useSQLite: true },
          QUARANTINE: { className: "QueueQuarantine", useSQLite: true },
        },
        queueProducers: { DISPATCH: "shim-dispatch", EMPTY: "bench-empty" },
        queueConsumers: {
          "shim-dispatch": { maxBatchSize: 100, maxBatchTimeout: 0 },
          "bench-empty": { maxBatchSize: 100, maxBatchTimeout: 0 },
        },
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
    const desk = new Desk(miniflare, folder, `${url}/v1/workspaces/bench`, token);
    // What one token may do is not what is measured.
    await desk.set({ maxOperationsPerSecond: 1_000_000, maxSocketsPerToken: 10_000, maxSockets: 10_000 });
    return desk;
  }

  client(chat: string, about: About = {}): Promise<WireClient> {
    return WireClient.connect(this.url, this.token, chat, about);
  }

  set(settings: Record<string, number>): Promise<void> {
    return this.#send("PUT", "settings", { settings });
  }

  /** Without a connection. */
  register(chat: string): Promise<void> {
    return this.#send("POST", "chats", { chat, session: chat, process: chat, machine: "bench", client: "bench" });
  }

  /** Over HTTP. */
  submit(tasks: readonly object[]): Promise<void> {
    return this.#send("POST", "tasks", { tasks });
  }

  async #send(method: string, path: string, body: object): Promise<void> {
    const headers = { authorization: `Bearer ${this.token}` };
    const answer = await fetch(`${this.url}/${path}`, { method, headers, body: JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
  }

  async close(): Promise<void> {
    await this.#miniflare.dispose();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
