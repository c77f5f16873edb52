import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { onTestFinished } from "vitest";
import type { InputOf, OperationName, OutputOf } from "../../src/contract/operations.ts";
import { operations } from "../../src/contract/operations.ts";

const secret = "admin-of-the-tests";

/** The worker under a workerd of the test's own, with its state on a disk: what `npm run dev` runs, without the command around it. */
export class EdgeRuntime {
  readonly url: string;
  readonly workspace = "team";
  readonly adminToken: string;

  private constructor(url: string, adminToken: string) {
    this.url = url;
    this.adminToken = adminToken;
  }

  static async open(): Promise<EdgeRuntime> {
    const scratch = join(import.meta.dirname, "..", "..", ".scratch");
    mkdirSync(scratch, { recursive: true });
    const folder = mkdtempSync(join(scratch, "edge-"));
    const script = join(folder, "worker.mjs");
    await build({
      entryPoints: [join(import.meta.dirname, "..", "..", "src", "worker", "worker-entry.ts")],
      bundle: true,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*", "node:*"],
      target: "es2024",
      outfile: script,
    });
    const miniflare = new Miniflare(
      convertV4MiniflareOptions({
        name: "shim",
        host: "127.0.0.1",
        port: 0,
        modules: true,
        scriptPath: script,
        compatibilityDate: "2026-09-30",
        durableObjects: {
          COORDINATOR: { className: "ChatCoordinator", useSQLite: true },
          QUARANTINE: { className: "QueueQuarantine", useSQLite: true },
        },
        queueProducers: { DISPATCH: "shim-dispatch" },
        queueConsumers: { "shim-dispatch": { maxBatchSize: 100, maxBatchTimeout: 0 } },
        bindings: { SHIM_SIGNING_SECRET: "signs-for-the-tests", SHIM_ADMIN_SECRET: secret },
        resourcePersistencePath: join(folder, "state"),
        unsafeHandleRuntimeRestart: () => undefined,
      }),
    );
    onTestFinished(async () => {
      await miniflare.dispose();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    const url = (await miniflare.ready).origin;
    const made = await fetch(`${url}/v1/workspaces`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}` },
      body: JSON.stringify({ workspace: "team" }),
    });
    const { token } = (await made.json()) as { token: string };
    return new EdgeRuntime(url, token);
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

  /** kill -9 of every workerd below this process; Miniflare starts another at the same address. */
  kill(): number {
    const pids = children(process.pid).filter((pid) => commandOf(pid).includes("workerd"));
    for (const pid of pids) process.kill(pid, "SIGKILL");
    return pids.length;
  }

  /** Resolves when the coordinator answers again. */
  async isBack(): Promise<void> {
    for (let tries = 0; tries < 400; tries++) {
      const health = await this.call("health", {}).catch(() => null);
      if (health) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error("the coordinator did not come back within ten seconds");
  }
}

function textsOf(input: object): Record<string, string> {
  return Object.fromEntries(Object.entries(input).map(([name, value]) => [name, String(value)]));
}

function children(pid: number): number[] {
  const direct = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
  return [...direct, ...direct.flatMap(children)];
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`);
}

/** A process may end between two looks. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
