// `npm run deploy:rehearse`: two deployments into an account that is made for it, offline, on loopback: `npm run deploy` with wrangler itself, whose
// API is answered here as Cloudflare does, and workerd with what was uploaded. Nothing of it is on Cloudflare. `-- --base <commit>` is the first one.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { secretNames } from "../src/contract/secrets.ts";
import { messageOf } from "../src/shared/error.ts";
import { callWorkspace, madeWorkspace } from "./local-edge.ts";
import { LocalRuntime, type Declared, type Secrets } from "./local-runtime.ts";

interface Binding {
  readonly type: string;
  readonly name: string;
  readonly class_name?: string;
  readonly queue_name?: string;
  readonly namespace_id?: string;
  readonly simple?: { readonly limit: number; readonly period: 10 | 60 };
  readonly text?: string;
}

interface Metadata {
  readonly main_module: string;
  readonly bindings: readonly Binding[];
  readonly compatibility_date: string;
  readonly compatibility_flags: string[];
  readonly migrations?: {
    readonly old_tag?: string;
    readonly new_tag: string;
    readonly steps: readonly { readonly new_sqlite_classes?: readonly string[] }[];
  };
}

interface Uploaded {
  readonly metadata: Metadata;
  readonly script: string;
}

const queueOf = (name: string) => ({ queue_id: name, queue_name: name, producers: [], consumers: [], settings: {} });
const urlOf = ({ url }: LocalRuntime): string => `${url}/v1/workspaces/team`;

class Refused extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const accountId = "a".repeat(32);
const worker = "/workers/scripts/shim-coordinator";

/** As much of an account as wrangler asks about. It begins empty. */
class Account {
  readonly queues = new Map<string, Declared["queueConsumers"][string] | null>();
  readonly namespaces = new Map<string, string>();
  readonly secrets = new Map<string, string>();
  /** Classes of objects that migrations have made. */
  readonly classes = new Set<string>();
  tag: string | undefined;
  uploaded: Uploaded | null = null;

  async answer(method: string, url: URL, request: IncomingMessage): Promise<unknown> {
    const path = url.pathname.replace(`/client/v4/accounts/${accountId}`, "");
    const body = await buffer(request);
    const json = (): never => JSON.parse(body.toString()) as never;
    const [, kind, name = "", part] = path.split("/");
    if (kind === "queues") return this.#queue(method, name || url.searchParams.get("name"), part, json);
    if (path === "/storage/kv/namespaces" && method === "POST") return this.#addNamespace(json());
    if (path === "/workers/subdomain") return { subdomain: "rehearsal" };
    if (path === `${worker}/assets-upload-session`) return { jwt: "none", buckets: [] };
    if ((path === worker && method === "PUT") || (path === `${worker}/versions` && method === "POST"))
      return this.#upload(await formOf(body, request));
    if (path.includes("shim-coordinator")) return this.#ofWorker(method, path, json);
    throw new Refused(7003, `the rehearsal does not know ${method} ${path}`);
  }

  #queue(method: string, name: string | null, part: string | undefined, json: () => never): unknown {
    if (part === "consumers" && method === "GET") return [];
    if (part === "consumers" && name !== null) return this.#consume(name, json());
    if (method === "GET") return [...this.queues.keys()].filter((queue) => queue === name).map(queueOf);
    const { queue_name: made }: { queue_name: string } = json();
    this.queues.set(made, null);
    return queueOf(made);
  }

  #consume(queue: string, { settings, dead_letter_queue: dead }: Consumer): unknown {
    const { batch_size: maxBatchSize, max_retries: maxRetries, max_wait_time_ms: waitMs = 0 } = settings;
    const given = { ...(maxRetries === undefined ? {} : { maxRetries }), ...(dead ? { deadLetterQueue: dead } : {}) };
    this.queues.set(queue, { maxBatchSize, maxBatchTimeout: waitMs / 1_000, ...given });
    return {};
  }

  #addNamespace({ title }: { readonly title: string }): unknown {
    const id = "b".repeat(32);
    this.namespaces.set(id, title);
    return { id, title };
  }

  #ofWorker(method: string, path: string, json: () => never): unknown {
    if (this.uploaded === null) throw new Refused(10_007, "This Worker does not exist on your account.");
    if (path === "/workers/services/shim-coordinator") {
      const script = { id: "shim-coordinator", migration_tag: this.tag, last_deployed_from: "wrangler" };
      return { id: "shim-coordinator", default_environment: { environment: "production", script } };
    }
    if (path === `${worker}/secrets`) return this.#secret(method, json);
    if (path === `${worker}/deployments`) return { deployments: [] };
    if (path === `${worker}/settings`) return { bindings: this.uploaded.metadata.bindings };
    return { id: "shim-coordinator", name: "shim-coordinator", enabled: true, previews_enabled: true, subdomain: {} };
  }

  #secret(method: string, json: () => never): unknown {
    if (method === "GET") return [...this.secrets.keys()].map((name) => ({ name, type: "secret_text" }));
    const { name, text }: { name: string; text: string } = json();
    this.secrets.set(name, text);
    return { name, type: "secret_text" };
  }

  async #upload(form: FormData): Promise<unknown> {
    const text = form.get("metadata");
    const metadata = JSON.parse(typeof text === "string" ? text : "{}") as Metadata;
    if (metadata.migrations) this.#migrate(metadata.migrations);
    const before = this.uploaded?.metadata.bindings ?? [];
    const bindings = metadata.bindings.map((one) =>
      one.type === "inherit" ? (before.find(({ name }) => name === one.name) ?? one) : one,
    );
    const strange = bindings.find((one) => !this.#has(one));
    if (strange) throw new Refused(10_061, `the binding ${strange.name} is of nothing that the account has`);
    const script = form.get(metadata.main_module);
    if (!(script instanceof File)) throw new Refused(10_021, `the upload has no ${metadata.main_module}`);
    this.uploaded = { metadata: { ...metadata, bindings }, script: await script.text() };
    const id = "11111111-1111-4111-8111-111111111111";
    return { id, etag: "none", startup_time_ms: 1, deployment_id: id, resources: { script: { etag: "none" } } };
  }

  #migrate({ old_tag: from, new_tag: to, steps }: NonNullable<Metadata["migrations"]>): void {
    if (from !== this.tag) throw new Refused(10_079, `the migrations begin at ${from}, not ${this.tag}`);
    for (const { new_sqlite_classes: made = [] } of steps) for (const one of made) this.classes.add(one);
    this.tag = to;
  }

  #has({ type, class_name: one = "", queue_name: queue = "", namespace_id: id = "" }: Binding): boolean {
    if (type === "durable_object_namespace") return this.classes.has(one);
    if (type === "queue") return this.queues.has(queue);
    return type !== "inherit" && (type !== "kv_namespace" || this.namespaces.has(id));
  }

  /** What was uploaded, as Miniflare takes it. */
  get declared(): Declared {
    const { metadata } = this.#deployed();
    const of = <T>(type: string, toValue: (binding: Binding) => T): Record<string, T> =>
      Object.fromEntries(metadata.bindings.filter((one) => one.type === type).map((one) => [one.name, toValue(one)]));
    const consumers = [...this.queues].flatMap(([name, consumer]) => (consumer ? [[name, consumer] as const] : []));
    return {
      name: "shim-coordinator",
      compatibilityDate: metadata.compatibility_date,
      compatibilityFlags: metadata.compatibility_flags,
      durableObjects: of("durable_object_namespace", ({ class_name: className = "" }) => ({
        className,
        useSQLite: true,
      })),
      queueProducers: of("queue", ({ queue_name: queue = "" }) => queue),
      queueConsumers: Object.fromEntries(consumers),
      ratelimits: of("ratelimit", ({ namespace_id = "", simple = { limit: 1, period: 10 } }) => ({
        namespace_id,
        simple,
      })),
    };
  }

  async start(folder: string): Promise<LocalRuntime> {
    const { script, metadata } = this.#deployed();
    const path = join(folder, "worker.mjs");
    writeFileSync(path, script);
    const texts = metadata.bindings.flatMap(({ type, name, text = "" }) =>
      type === "plain_text" ? [[name, text]] : [],
    );
    const namespaces = metadata.bindings.filter(({ type }) => type === "kv_namespace").map(({ name }) => name);
    const secrets = Object.fromEntries(secretNames.map((name) => [name, this.secrets.get(name) ?? ""])) as Secrets;
    const bindings = Object.fromEntries(texts) as Record<string, string>;
    const state = join(folder, "state");
    return LocalRuntime.start({
      script: path,
      state,
      secrets,
      namespaces,
      bindings,
      isLimited: true,
      as: this.declared,
    });
  }

  #deployed(): Uploaded {
    if (this.uploaded === null) throw new Error("nothing was deployed");
    return this.uploaded;
  }
}

interface Consumer {
  readonly settings: { readonly batch_size: number; readonly max_retries?: number; readonly max_wait_time_ms?: number };
  readonly dead_letter_queue?: string;
}

function formOf(body: Buffer<ArrayBuffer>, { headers }: IncomingMessage): Promise<FormData> {
  return new Response(body, { headers: { "content-type": headers["content-type"] ?? "" } }).formData();
}

/** Answers wrangler. @returns what it needs in its environment */
async function serve(account: Account, folder: string) {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "", "http://127.0.0.1");
    const answered: object = await account.answer(request.method ?? "", url, request).then(
      (result) => ({ success: true, result, errors: [] }),
      (error: unknown) => {
        const code = error instanceof Refused ? error.code : 10_000;
        return { success: false, result: null, errors: [{ code, message: messageOf(error) }] };
      },
    );
    response.writeHead("success" in answered && answered.success ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify({ ...answered, messages: [] }));
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const env = {
    CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}/client/v4`,
    CLOUDFLARE_API_TOKEN: "of-the-rehearsal",
    CLOUDFLARE_ACCOUNT_ID: accountId,
    // No look for a newer wrangler, and no log below the home.
    WRANGLER_HIDE_BANNER: "true",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_LOG_PATH: join(folder, "wrangler"),
    CI: "1",
  };
  return { env, close: () => server.close() };
}

const root = join(import.meta.dirname, "..");

/** @param commit null: the files as they are now */
function copyTree(commit: string | null, folder: string): void {
  mkdirSync(folder);
  const files = execFileSync("git", ["ls-files", "-z"], { cwd: root });
  const archive =
    commit === null
      ? execFileSync("tar", ["-c", "--null", "-T", "-"], { cwd: root, input: files, maxBuffer: 1e9 })
      : execFileSync("git", ["archive", commit], { cwd: root, maxBuffer: 1e9 });
  execFileSync("tar", ["-x", "-C", folder], { input: archive });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
}

/** @throws {Error} where it fails, after what it has printed */
async function run(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: "inherit" });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}`);
}

/** The Worker before its newest class of objects. */
function withoutNewest(tree: string): void {
  const file = join(tree, "wrangler.toml");
  const text = readFileSync(file, "utf8");
  const [block = "", name = ""] =
    [...text.matchAll(/\[\[migrations\]\]\ntag = .*\nnew_sqlite_classes = \["(\w+)"\]\n/g)].at(-1) ?? [];
  const binding = new RegExp(`\\[\\[durable_objects.bindings\\]\\]\nname = .*\nclass_name = "${name}"\n`);
  writeFileSync(file, text.replace(block, "").replace(binding, ""));
}

/** As the guide on remote MCP says: a namespace, and the commented lines of wrangler.toml. */
async function addOAuth(tree: string, account: Account, env: NodeJS.ProcessEnv): Promise<void> {
  await run(tree, ["node_modules/wrangler/bin/wrangler.js", "kv", "namespace", "create", "OAUTH_KV"], env);
  const file = join(tree, "wrangler.toml");
  const [id = ""] = account.namespaces.keys();
  const text = readFileSync(file, "utf8")
    .replaceAll(/^# (\[\[kv_namespaces\]\]|binding = "OAUTH_KV"|\[vars\]|SHIM_PUBLIC_URL = .*)$/gm, "$1")
    .replace(/^# id = .*$/m, `id = "${id}"`)
    .replace("<you>", "rehearsal");
  writeFileSync(file, text);
}

async function rehearse(base: string, folder: string): Promise<void> {
  const account = new Account();
  const { env, close } = await serve(account, folder);
  try {
    const [first, second] = [join(folder, "first"), join(folder, "second")];
    copyTree(base, first);
    withoutNewest(first);
    await run(first, ["scripts/deploy.ts"], env);
    const before = await account.start(folder);
    const token = await madeWorkspace(before, "team");
    await callWorkspace(urlOf(before), token, "state.set", { key: "kept", value: { by: base } });
    await callWorkspace(urlOf(before), token, "tasks.submit", { tasks: [{ type: "build" }] });
    await before.close();
    console.log(
      `1. ${base}: migrations up to ${account.tag}, ${account.queues.size} queues, ${account.secrets.size} secrets, a workspace with a key and a task`,
    );

    const secrets = JSON.stringify([...account.secrets]);
    copyTree(null, second);
    await addOAuth(second, account, env);
    await run(second, ["scripts/deploy.ts"], env);
    const after = await account.start(folder);
    const { entry } = await callWorkspace(urlOf(after), token, "state.get", { key: "kept" });
    const { tasks } = await callWorkspace(urlOf(after), token, "tasks.list", {});
    const resource = await (await fetch(`${after.url}/.well-known/oauth-protected-resource`)).text();
    const box = { kind: "phone", claimHash: "c".repeat(64), forMs: 60_000 } as const;
    const { id } = await callWorkspace(urlOf(after), token, "boxes.create", box);
    const { schemaVersion } = await callWorkspace(urlOf(after), token, "health", {});
    await after.close();
    const kept = {
      key: entry !== null,
      task: tasks.length === 1,
      newest: id !== "",
      secrets: JSON.stringify([...account.secrets]) === secrets,
      oauth: resource.includes("https://shim-coordinator.rehearsal.workers.dev"),
    };
    console.log(
      `2. these files: migrations up to ${account.tag}, schema ${schemaVersion}, with OAuth; ${JSON.stringify(kept)}`,
    );
    if (Object.values(kept).includes(false)) throw new Error("the second deployment has lost something");
  } finally {
    close();
  }
}

const { base } = parseArgs({ options: { base: { type: "string", default: "HEAD" } } }).values;
mkdirSync(join(root, ".scratch"), { recursive: true });
const folder = mkdtempSync(join(root, ".scratch", "rehearsal-"));
try {
  await rehearse(base, folder);
  console.log("Both deployments went well. Nothing was sent to Cloudflare.");
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
