/** A coordinator under workerd and clients that speak the wire, as lean as can be: what is measured is the coordinator. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { madeWorkspace } from "../../scripts/local-edge.ts";
import { bundle, LocalRuntime } from "../../scripts/local-runtime.ts";
import { folderOnDisk } from "../own-processes.ts";
import { WireClient, type About } from "./wire-client.ts";

async function builtWorker(): Promise<string> {
  const script = join(folderOnDisk("edge-worker"), "worker.mjs");
  await bundle("bench/edge/counting-worker.ts", script);
  return script;
}

export class EdgeRig {
  readonly #runtime: LocalRuntime;
  readonly #folder: string;
  /** Of the workspace. */
  readonly url: string;
  readonly token: string;

  static #script: Promise<string> | undefined;

  private constructor(runtime: LocalRuntime, folder: string, token: string) {
    this.#runtime = runtime;
    this.#folder = folder;
    this.url = `${runtime.url}/v1/workspaces/bench`;
    this.token = token;
  }

  static async open(isCounting: boolean): Promise<EdgeRig> {
    const script = await (EdgeRig.#script ??= builtWorker());
    // On a disk: durability is what is compared.
    const state = folderOnDisk("edge");
    const runtime = await LocalRuntime.start({
      script,
      state,
      bindings: { COUNT_ROWS: isCounting ? "1" : "0" },
    });
    const rig = new EdgeRig(runtime, state, await madeWorkspace(runtime, "bench"));
    // What one token may do is not what is measured.
    await rig.set({ maxOperationsPerSecond: 1_000_000, maxSocketsPerToken: 10_000, maxSockets: 10_000 });
    return rig;
  }

  client(chat: string, about: About = {}): Promise<WireClient> {
    return WireClient.connect(this.url, this.token, chat, about);
  }

  set(settings: Record<string, number>): Promise<void> {
    return this.#put("settings", { settings });
  }

  async #put(path: string, body: object): Promise<void> {
    const headers = { authorization: `Bearer ${this.token}` };
    const answer = await fetch(`${this.url}/${path}`, { method: "PUT", headers, body: JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
  }

  async close(): Promise<void> {
    await this.#runtime.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A coordinator for one bench, so that none stands on what another has left. */
export async function freshRig(isCounting = false): Promise<EdgeRig> {
  const rig = await EdgeRig.open(isCounting);
  // The clients of the bench do not ping.
  await rig.set({ chatTtlMs: 600_000, maxConcurrentChats: 1_000 });
  return rig;
}
