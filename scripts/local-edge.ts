// A local coordinator with one workspace, for tests, bench and the demo.
import { readdirSync, readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type InputOf, type OperationName, type OutputOf, operations } from "../src/contract/operations.ts";
import { omitUndefined } from "../src/shared/omit-undefined.ts";
import { bundle, LocalRuntime, type LocalRuntimeOptions, type Secrets } from "./local-runtime.ts";

const workspace = "team";

export interface LocalEdgeOptions extends Pick<
  LocalRuntimeOptions,
  "log" | "page" | "port" | "bindings" | "namespaces" | "documents"
> {
  /** What workerd runs: `src/worker/worker-entry.ts`, or something around it. */
  readonly entry: string;
  /** Holds the built worker and its state, and stays after the end. */
  readonly folder: string;
  /** Another one on the same folder: with its secrets and its workspace. */
  readonly beside?: LocalEdge;
}

interface Started {
  readonly runtime: LocalRuntime;
  readonly adminToken: string;
}

/** The worker under workerd, with its state on a disk and one workspace: what `npm run dev` runs, without the command around it. */
export class LocalEdge {
  readonly url: string;
  readonly workspace = workspace;
  /** Makes workspaces. */
  readonly adminSecret: string;
  readonly secrets: Secrets;
  readonly adminToken: string;
  readonly #runtime: LocalRuntime;

  constructor({ runtime, adminToken }: Started) {
    this.#runtime = runtime;
    this.url = runtime.url;
    this.secrets = runtime.secrets;
    this.adminSecret = runtime.secrets.SHIM_ADMIN_SECRET;
    this.adminToken = adminToken;
  }

  /** As admin; see `callWorkspace`. */
  call<Name extends OperationName>(name: Name, input: InputOf<Name>, token = this.adminToken): Promise<OutputOf<Name>> {
    return callWorkspace(`${this.url}/v1/workspaces/${this.workspace}`, token, name, input);
  }

  /** kill -9 of every workerd below this process; Miniflare starts another at the same address. @returns how many there were */
  kill(): number {
    const pids = descendantsOf(process.pid).filter((pid) => commandOf(pid).includes("workerd"));
    for (const pid of pids) process.kill(pid, "SIGKILL");
    return pids.length;
  }

  /** Resolves when the coordinator answers again. */
  async isBack(): Promise<void> {
    for (let tries = 0; tries < 2_400; tries++) {
      const health = await this.call("health", {}).catch(() => null);
      if (health) return;
      await pause(25);
    }
    throw new Error("the coordinator did not come back within a minute");
  }

  async close(): Promise<void> {
    await this.#runtime.close();
  }
}

/** Over HTTP. Rejects when there is no answer, or a refusal. @param url of the workspace */
export async function callWorkspace<Name extends OperationName>(
  url: string,
  token: string,
  name: Name,
  input: InputOf<Name>,
): Promise<OutputOf<Name>> {
  const { method, path } = operations[name];
  const query = method === "GET" ? `?${new URLSearchParams(textsOf(input)).toString()}` : "";
  const answer = await fetch(`${url}${path}${query}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(method === "GET" ? {} : { body: JSON.stringify(input) }),
    signal: AbortSignal.timeout(60_000),
  });
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as OutputOf<Name>;
}

/** Rejects, with nothing left running, where it cannot be started. */
export async function startEdge({ entry, folder, beside, ...options }: LocalEdgeOptions): Promise<Started> {
  const script = join(folder, "worker.mjs");
  await bundle(entry, script);
  const runtime = await LocalRuntime.start({
    script,
    state: join(folder, "state"),
    ...options,
    ...omitUndefined({ secrets: beside?.secrets }),
  });
  try {
    return { runtime, adminToken: beside?.adminToken ?? (await madeWorkspace(runtime, workspace)) };
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

/** @returns its first token, of scope admin */
export async function madeWorkspace(
  { url, secrets }: Pick<LocalRuntime, "url" | "secrets">,
  workspace: string,
): Promise<string> {
  const made = await fetch(`${url}/v1/workspaces`, {
    method: "POST",
    headers: { authorization: `Bearer ${secrets.SHIM_ADMIN_SECRET}` },
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
