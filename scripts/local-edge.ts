// The worker under a workerd of its own, for tests and for the demo.
import { readdirSync, readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import type { InputOf, OperationName, OutputOf } from "../src/contract/operations.ts";
import { operations } from "../src/contract/operations.ts";

const secret = "admin-of-this-runtime";
const workspace = "team";
const endSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface LocalEdgeOptions {
  /** What workerd runs: `src/worker/worker-entry.ts`, or something around it. */
  readonly entry: string;
  /** Holds the built worker and its state, and stays after the end. */
  readonly folder: string;
  /** Of the workspace, where the state has it already. */
  readonly adminToken?: string;
  /** Told of each line that the worker and workerd log; without it they come out here. */
  readonly log?: (line: string) => void;
}

interface Started {
  readonly miniflare: Miniflare;
  readonly url: string;
  readonly adminToken: string;
}

/** The worker under workerd, with its state on a disk and one workspace: what `npm run dev` runs, without the command around it. */
export class LocalEdge {
  readonly url: string;
  readonly workspace = workspace;
  /** Makes workspaces. */
  readonly adminSecret = secret;
  readonly adminToken: string;
  readonly #miniflare: Miniflare;

  constructor({ miniflare, url, adminToken }: Started) {
    this.#miniflare = miniflare;
    this.url = url;
    this.adminToken = adminToken;
  }

  /** Over HTTP, as admin. Rejects when there is no answer, or a refusal. */
  async call<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    token = this.adminToken,
  ): Promise<OutputOf<Name>> {
    const { method, path } = operations[name];
    const query = method === "GET" ? `?${new URLSearchParams(textsOf(input)).toString()}` : "";
    const answer = await fetch(`${this.url}/v1/workspaces/${this.workspace}${path}${query}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(method === "GET" ? {} : { body: JSON.stringify(input) }),
      signal: AbortSignal.timeout(5_000),
    });
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as OutputOf<Name>;
  }

  /** kill -9 of every workerd below this process; Miniflare starts another at the same address. @returns how many there were */
  kill(): number {
    const pids = descendantsOf(process.pid).filter((pid) => commandOf(pid).includes("workerd"));
    for (const pid of pids) process.kill(pid, "SIGKILL");
    return pids.length;
  }

  /** Resolves when the coordinator answers again. */
  async isBack(): Promise<void> {
    for (let tries = 0; tries < 400; tries++) {
      const health = await this.call("health", {}).catch(() => null);
      if (health) return;
      await pause(25);
    }
    throw new Error("the coordinator did not come back within ten seconds");
  }

  async close(): Promise<void> {
    await this.#miniflare.dispose();
  }
}

/** Rejects, with nothing left running, where it cannot be started. */
export async function startEdge(options: LocalEdgeOptions): Promise<Started> {
  const script = join(options.folder, "worker.mjs");
  await bundle(options.entry, script);
  const miniflare = withoutItsSignals(() => workerd(script, options));
  try {
    const url = (await miniflare.ready).origin;
    return { miniflare, url, adminToken: options.adminToken ?? (await madeWorkspace(url)) };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

/** A worker as workerd takes it. */
export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    target: "es2024",
    outfile,
  });
}

/** As wrangler.toml says. */
function workerd(script: string, { folder, log }: LocalEdgeOptions): Miniflare {
  return new Miniflare(
    convertV4MiniflareOptions({
      name: "shim",
      host: "127.0.0.1",
      port: 0,
      modules: true,
      scriptPath: script,
      // workerd takes no module from above it, and without this it is the folder where the program runs.
      modulesRoot: folder,
      compatibilityDate: "2026-09-30",
      durableObjects: {
        COORDINATOR: { className: "ChatCoordinator", useSQLite: true },
        QUARANTINE: { className: "QueueQuarantine", useSQLite: true },
      },
      queueProducers: { DISPATCH: "shim-dispatch" },
      queueConsumers: {
        "shim-dispatch": {
          maxBatchSize: 100,
          maxBatchTimeout: 0,
          maxRetries: 10,
          deadLetterQueue: "shim-dispatch-dead",
        },
        "shim-dispatch-dead": { maxBatchSize: 100, maxBatchTimeout: 5 },
      },
      bindings: { SHIM_SIGNING_SECRET: "signs-for-this-runtime", SHIM_ADMIN_SECRET: secret },
      resourcePersistencePath: join(folder, "state"),
      unsafeHandleRuntimeRestart: () => undefined,
      ...(log ? { handleStructuredLogs: ({ message }: { message: string }) => log(message) } : {}),
    }),
  );
}

/** Miniflare ends the whole process at a signal, at once. What is to be done then is for the program to say that uses it. */
function withoutItsSignals(start: () => Miniflare): Miniflare {
  const before = new Map(endSignals.map((signal) => [signal, process.listeners(signal)]));
  const miniflare = start();
  for (const signal of endSignals) {
    const added = process.listeners(signal).filter((listener) => !before.get(signal)?.includes(listener));
    for (const listener of added) process.off(signal, listener);
  }
  return miniflare;
}

async function madeWorkspace(url: string): Promise<string> {
  const made = await fetch(`${url}/v1/workspaces`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}` },
    body: JSON.stringify({ workspace }),
  });
  if (!made.ok) throw new Error(`no workspace was made: ${made.status} ${await made.text()}`);
  const { token } = (await made.json()) as { token: string };
  return token;
}

function textsOf(input: object): Record<string, string> {
  return Object.fromEntries(Object.entries(input).map(([name, value]) => [name, String(value)]));
}

/** All processes below one: by proc(5), elsewhere by ps(1). */
export function descendantsOf(pid: number): number[] {
  const direct = process.platform === "linux" ? childrenOf(pid) : listedBelow(pid);
  return [...direct, ...direct.flatMap(descendantsOf)];
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
    );
  } catch {
    // It has ended.
    return [];
  }
}

function listedBelow(pid: number): number[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []));
}

function commandOf(pid: number): string {
  if (process.platform === "linux") return read(`/proc/${pid}/cmdline`);
  return execFileSync("ps", ["-p", String(pid), "-o", "command="], { encoding: "utf8" });
}

/** A process may end between two looks. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
