// The worker under a workerd of its own: what every local coordinator is started with, by `npm run dev`, demo, bench and tests.
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { Socket } from "node:net";
import { basename, dirname, join } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare, Response } from "miniflare";
import { secretNames, type SecretName } from "../src/contract/secrets.ts";
import { pageHeaders } from "../src/shared/page-security.ts";

/** Reads the numbers of the living runtimes, a line for each change; when the other end of its stdin is gone, it kills those of the last line. */
const script = `while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -9 $pids`;

/**
 * Kills the workerd processes of this process when this process is gone, however it ended: nothing else would after a kill -9. A shell in a
 * session of its own, so that neither Ctrl-C nor a kill of the group ends it. Not on Windows.
 */
class RuntimeGuard {
  readonly #pids = new Set<number>();
  readonly #shell = process.platform === "win32" ? null : guardian();
  readonly #watch = (message: unknown): void => this.#follow((message as { process: ChildProcess }).process);

  /** From now on each workerd that this process starts is guarded. */
  constructor() {
    // Miniflare does not say which processes it starts, and starts another one after a crash.
    subscribe("child_process", this.#watch);
  }

  #follow(child: ChildProcess): void {
    child.once("spawn", () => {
      if (!basename(child.spawnfile).startsWith("workerd")) return;
      this.#change(() => this.#pids.add(child.pid ?? 0));
      child.once("exit", () => this.#change(() => this.#pids.delete(child.pid ?? 0)));
    });
  }

  #change(change: () => void): void {
    change();
    this.#shell?.stdin?.write(`${[...this.#pids].join(" ")}\n`);
  }

  /** After the runtime's end. */
  async release(): Promise<void> {
    unsubscribe("child_process", this.#watch);
    if (this.#shell?.pid === undefined || this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    this.#shell.ref();
    const ended = once(this.#shell, "exit");
    this.#shell.stdin?.end("\n");
    await ended;
  }
}

function guardian(): ChildProcess {
  const shell = spawn("/bin/sh", ["-c", script], { cwd: "/", detached: true, stdio: ["pipe", "ignore", "ignore"] });
  // Without a shell the runtime is ended by Miniflare alone, which a kill -9 prevents.
  for (const emitter of [shell, shell.stdin]) emitter.on("error", () => undefined);
  shell.unref();
  (shell.stdin as Socket).unref();
  return shell;
}

const endSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export type Secrets = Record<SecretName, string>;

export interface LocalRuntimeOptions {
  /** The built worker. */
  readonly script: string;
  /** Holds what is stored; is made. */
  readonly state: string;
  /** On 127.0.0.1. Without it, any that is free. */
  readonly port?: number;
  /** Without them, random ones. */
  readonly secrets?: Secrets;
  /** Told of each line that the worker and workerd log; without it they come out here. */
  readonly log?: (line: string) => void;
  /** Whether requests of valid tokens are limited as on Cloudflare. */
  readonly isLimited?: boolean;
  /** Besides the bindings of wrangler.toml. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** Namespaces of KV, by their binding. */
  readonly namespaces?: readonly string[];
  /** In place of the internet: JSON by address, and nothing else. */
  readonly documents?: Readonly<Record<string, object>>;
  /** The built live page. */
  readonly page?: string;
  /** In place of what wrangler.toml says. */
  readonly as?: Declared;
}

/** A deployment, as Miniflare takes it. */
export interface Declared {
  readonly name: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: string[];
  readonly durableObjects: Readonly<Record<string, { readonly className: string; readonly useSQLite: boolean }>>;
  readonly queueProducers: Readonly<Record<string, string>>;
  readonly queueConsumers: Readonly<
    Record<
      string,
      {
        readonly maxBatchSize: number;
        readonly maxBatchTimeout: number;
        readonly maxRetries?: number;
        readonly deadLetterQueue?: string;
      }
    >
  >;
  readonly ratelimits: Readonly<
    Record<
      string,
      { readonly namespace_id: string; readonly simple: { readonly limit: number; readonly period: 10 | 60 } }
    >
  >;
}

/** What wrangler.toml says, as Miniflare takes it. What is made in the folder of the state is that of this name. */
export const declared = {
  name: "shim-coordinator",
  compatibilityDate: "2026-10-30",
  compatibilityFlags: ["global_fetch_strictly_public", "durable_object_io_tasks_do_not_prevent_eviction"] as string[],
  durableObjects: {
    COORDINATOR: { className: "ChatCoordinator", useSQLite: true },
    RESTORE_MARKS: { className: "RestoreMarks", useSQLite: true },
    HANDOVERS: { className: "HandoverBox", useSQLite: true },
    PHONES: { className: "PhoneBox", useSQLite: true },
  },
  queueProducers: { DISPATCH: "shim-dispatch" },
  queueConsumers: {
    "shim-dispatch": { maxBatchSize: 100, maxBatchTimeout: 0, maxRetries: 10, deadLetterQueue: "shim-dispatch-dead" },
    "shim-dispatch-dead": { maxBatchSize: 100, maxBatchTimeout: 5 },
  },
  ratelimits: {
    RATE_LIMITER: { namespace_id: "1001", simple: { limit: 1_000, period: 10 } },
    AUTH_FAILURE_LIMITER: { namespace_id: "1002", simple: { limit: 20, period: 60 } },
  },
} as const satisfies Declared;

export function randomSecrets(): Secrets {
  const [signing, admin] = secretNames.map(() => randomBytes(32).toString("base64url"));
  return { SHIM_SIGNING_SECRET: signing ?? "", SHIM_ADMIN_SECRET: admin ?? "" };
}

/**
 * One workerd behind one port of 127.0.0.1, without inspector and without Cloudflare's Local Explorer. A workerd that is killed is started again
 * at the same address, and none outlives this process. Miniflare itself listens for workerd on a second port of 127.0.0.1, and answers 403 to
 * whoever does not know the random secret of this start.
 */
export class LocalRuntime {
  readonly url: string;
  readonly secrets: Secrets;
  readonly #miniflare: Miniflare;
  readonly #guard: RuntimeGuard;
  readonly #restarts: () => number;

  private constructor(
    url: string,
    secrets: Secrets,
    miniflare: Miniflare,
    guard: RuntimeGuard,
    restarts: () => number,
  ) {
    this.url = url;
    this.secrets = secrets;
    this.#miniflare = miniflare;
    this.#guard = guard;
    this.#restarts = restarts;
  }

  /** Rejects, with nothing left running, where it cannot be started. */
  static async start(options: LocalRuntimeOptions): Promise<LocalRuntime> {
    const secrets = options.secrets ?? randomSecrets();
    const guard = new RuntimeGuard();
    let restarts = 0;
    const miniflare = withoutItsSignals(() => workerd(options, secrets, () => (restarts += 1)));
    try {
      const { origin } = await miniflare.ready;
      return new LocalRuntime(origin, secrets, miniflare, guard, () => restarts);
    } catch (error) {
      // It rejects with the same error again.
      await miniflare.dispose().catch(() => undefined);
      await guard.release();
      throw error;
    }
  }

  /** How often workerd has ended by itself and was started again. */
  get restarts(): number {
    return this.#restarts();
  }

  async close(): Promise<void> {
    try {
      await this.#miniflare.dispose();
    } finally {
      await this.#guard.release();
    }
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

function workerd(options: LocalRuntimeOptions, secrets: Secrets, restarted: () => void): Miniflare {
  const { script, state, port = 0, isLimited = false, bindings = {}, as = declared } = options;
  const { ratelimits } = as;
  return new Miniflare(
    convertV4MiniflareOptions({
      ...as,
      host: "127.0.0.1",
      port,
      modules: true,
      scriptPath: script,
      // workerd takes no module from above it, and without this it is the folder where the program runs.
      modulesRoot: dirname(script),
      ratelimits: isLimited ? ratelimits : { AUTH_FAILURE_LIMITER: declared.ratelimits.AUTH_FAILURE_LIMITER },
      bindings: { ...secrets, SHIM_LOCAL: "1", ...bindings },
      resourcePersistencePath: state,
      // Else it asks Cloudflare for the properties of a request.
      cf: false,
      logRequests: false,
      unsafeHandleRuntimeRestart: restarted,
      ...givenParts(options),
    }),
  );
}

interface MixedOptions<Version extends string> {
  /** Holds the scripts, and what is stored. */
  readonly folder: string;
  /** Built workers by version. */
  readonly scripts: Readonly<Record<Version, string>>;
  /** Version of the object. */
  readonly object: Version;
  readonly secrets: Secrets;
}

interface MixedRuntime<Version extends string> {
  readonly urls: Readonly<Record<Version, string>>;
  close(): Promise<void>;
}

/** One object with a Worker of each version before it, as during a gradual deployment. */
export async function startMixed<Version extends string>({
  folder,
  scripts,
  object,
  secrets,
}: MixedOptions<Version>): Promise<MixedRuntime<Version>> {
  const versions = Object.keys(scripts) as Version[];
  const others = versions.filter((version) => version !== object);
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      cf: false,
      logRequests: false,
      resourcePersistencePath: join(folder, "state"),
      handleStructuredLogs: () => undefined,
      workers: [object, ...others].map((version) => mixedWorker(version, object, scripts[version], secrets)),
    }),
  );
  await miniflare.ready;
  const urls: Partial<Record<Version, string>> = {};
  for (const version of versions) urls[version] = (await miniflare.unsafeGetDirectURL(version)).origin;
  return { urls: urls as Record<Version, string>, close: () => miniflare.dispose() };
}

/** The Worker of the object's version has the object and consumes the queue; another one calls them. */
function mixedWorker(version: string, object: string, script: string, secrets: Secrets) {
  const { compatibilityDate, compatibilityFlags, queueProducers, queueConsumers, durableObjects } = declared;
  const elsewhere = Object.entries(durableObjects).map(([name, { className, useSQLite }]) => {
    return [name, { className, useSQLite, scriptName: object }] as const;
  });
  return {
    name: version,
    compatibilityDate,
    compatibilityFlags,
    queueProducers,
    queueConsumers: version === object ? queueConsumers : {},
    durableObjects: version === object ? durableObjects : Object.fromEntries(elsewhere),
    modules: true,
    scriptPath: script,
    modulesRoot: dirname(script),
    bindings: { ...secrets, SHIM_LOCAL: "1" },
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
  };
}

/** What is left out where it is not asked for. */
function givenParts({ page, documents, namespaces, log }: LocalRuntimeOptions) {
  return {
    ...(page === undefined ? {} : { assets: assetsIn(page) }),
    ...(documents ? { outboundService: internetOf(documents) } : {}),
    ...(namespaces ? { kvNamespaces: [...namespaces] } : {}),
    ...(log ? { handleStructuredLogs: ({ message }: { message: string }) => log(message) } : {}),
  };
}

function internetOf(documents: Readonly<Record<string, object>>) {
  return ({ url }: { readonly url: string }): Response => {
    const found = documents[url];
    return Response.json(found ?? {}, { status: found ? 200 : 404 });
  };
}

/** As wrangler.toml and the file of headers say it. */
function assetsIn(directory: string) {
  return {
    directory,
    routerConfig: {
      has_user_worker: true,
      static_routing: {
        user_worker: ["/v1/*", "/health", "/mcp", "/authorize", "/oauth/*", "/.well-known/*"],
      },
    },
    assetConfig: { headers: { version: 2 as const, rules: { "/*": { set: pageHeaders } } } },
  };
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
