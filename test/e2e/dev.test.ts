import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { parseEnv } from "node:util";
import { expect, it, onTestFinished, vi } from "vitest";
import { EdgeRuntime, freePort } from "#harness/edge/edge-runtime.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { familyOf, killEvery, unlessGone } from "#harness/machine/process-tree.ts";
import { patience } from "#harness/machine/programs.ts";
import { isAlive, systemProcesses, type ProcessIdentity } from "#src/platform/processes.ts";

const script = join(import.meta.dirname, "..", "..", "scripts", "dev.ts");

/** `npm run dev` without npm, in a process group of its own; what is left of it ends with the test. */
class DevServer {
  readonly folder: string;
  readonly port: number;
  readonly url: string;
  readonly ended: Promise<number | null>;
  readonly #process: ChildProcess;
  #stderr = "";
  #started: readonly ProcessIdentity[] = [];

  private constructor(folder: string, port: number, umask: number) {
    this.folder = folder;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    const env = { ...process.env, SHIM_DEV_FOLDER: folder, SHIM_DEV_PORT: String(port) };
    const before = process.umask(umask);
    this.#process = spawn(process.execPath, [script], { env, stdio: ["ignore", "ignore", "pipe"], detached: true });
    process.umask(before);
    this.ended = once(this.#process, "close").then(([code]) => code as number | null);
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    onTestFinished(() => killEvery(this.alive));
  }

  /** @param isAwaited until it has printed where the coordinator is, or has ended */
  static async start({ folder = temporaryFolder(), umask = 0o022, isAwaited = true } = {}): Promise<DevServer> {
    const server = new DevServer(folder, await freePort(), umask);
    const { promise: isUp, resolve } = Promise.withResolvers<void>();
    server.#process.stderr?.on("data", () => server.#stderr.includes("The coordinator is at") && resolve());
    if (isAwaited) await Promise.race([isUp, server.ended]);
    return server;
  }

  /** Its processes, itself first, each known again after its end. */
  get processes(): readonly ProcessIdentity[] {
    const found = familyOf(this.#process.pid ?? -1);
    const isKnown = ({ pid }: ProcessIdentity): boolean => this.#started.some((known) => known.pid === pid);
    this.#started = [...this.#started, ...found.filter((one) => !isKnown(one))];
    return found;
  }

  get alive(): readonly ProcessIdentity[] {
    void this.processes;
    return this.#started.filter((one) => isAlive(systemProcesses, one));
  }

  async runtime(): Promise<number> {
    const found = (): ProcessIdentity | undefined =>
      this.processes.find(({ pid }) => systemProcesses.facts(pid)?.command === "workerd");
    return vi.waitUntil(() => found()?.pid, patience);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(-(this.#process.pid ?? -1), signal);
  }

  kill(): void {
    void this.processes;
    this.#process.kill("SIGKILL");
  }

  untilGone(): Promise<boolean> {
    return vi.waitUntil(() => this.alive.length === 0, patience);
  }

  async makeWorkspace(): Promise<string> {
    const { SHIM_ADMIN_SECRET = "" } = parseEnv(readFileSync(join(this.folder, ".dev.vars"), "utf8"));
    const headers = { authorization: `Bearer ${SHIM_ADMIN_SECRET}` };
    const made = await fetch(`${this.url}/v1/workspaces`, { method: "POST", headers, body: '{"workspace":"team"}' });
    return ((await made.json()) as { token: string }).token;
  }
}

/** The TCP ports on which one of these processes listens, by proc(5). */
function listeningPorts(pids: readonly number[]): number[] {
  const sockets = new Set(pids.flatMap(socketsOf));
  const rows = ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n").slice(1),
  );
  const ports = rows.flatMap((row) => {
    const [, local = "", , state, , , , , , inode = ""] = row.trim().split(/\s+/);
    // LISTEN of the kernel's tcp_states.h.
    return state === "0A" && sockets.has(inode) ? [Number.parseInt(local.split(":")[1] ?? "", 16)] : [];
  });
  return [...new Set(ports)];
}

function socketsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const links = unlessGone(() => readdirSync(folder), []).map((fd) =>
    unlessGone(() => readlinkSync(`${folder}/${fd}`), ""),
  );
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}

const modules = join(import.meta.dirname, "../../node_modules");

/** Every path below /cdn-cgi that stands in the programs that run workers, with those of the explorer. */
function toolPaths(): string[] {
  const programs = ["miniflare/dist/src", "wrangler/wrangler-dist"].flatMap((folder) =>
    readdirSync(join(modules, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith("js"))
      .map((name) => readFileSync(join(modules, folder, name), "utf8")),
  );
  const found = programs.flatMap((code) => code.match(/\/cdn-cgi[\w/.-]*/g) ?? []);
  const explorers = ["/cdn-cgi/explorer", "/cdn-cgi/local/explorer"].flatMap((explorer) =>
    ["", "/", "/api", "/api/workers/durable_objects/namespaces"].map((path) => explorer + path),
  );
  return [...new Set([...found, ...explorers, "/cdn-cgi/trace", "/cdn-cgi/handler/scheduled", "/__scheduled"])];
}

/** Where the inspector of workerd, or of wrangler in front of it, would answer, and some of Miniflare's own. */
const otherPaths =
  "/ /json /json/list /json/version /ws /core/log /core/public-url /core/dev-registry /core:user:shim-coordinator /core:entry";

/** The coordinator's, or that of the runtime's own proxy to a request without its secret. */
const refusal = /"code":"unknown_operation"|^(Invalid proxy request)?$/;

const upgrade = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

const origin = "http://localhost:3000";

const requests: readonly (readonly [method: string, headers: Readonly<Record<string, string>>])[] = [
  ["GET", {}],
  ["POST", { origin }],
  ["OPTIONS", { origin }],
  ["GET", { "mf-op": "GET", "mf-op-target": "[0]", "mf-op-secret": "00".repeat(16) }],
  ["GET", upgrade],
];

/** One request to this machine with any headers, also those that fetch sets by itself; an upgrade that succeeds is answered 101. */
function rawRequest(port: number, path: string, headers = {}, method = "GET") {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const asked = request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode ?? 0, text: body }), reject);
  });
  asked.on("error", reject).on("upgrade", (_response, socket) => {
    socket.destroy();
    resolve({ status: 101, text: "" });
  });
  asked.end();
  return promise;
}

async function expectOnlyTheCoordinator(port: number, pids: readonly number[]): Promise<void> {
  expect((await rawRequest(port, "/health")).status).toBe(200);
  const paths = toolPaths();
  for (const path of paths) {
    for (const [method, headers] of requests) {
      const answer = await rawRequest(port, path, headers, method);
      expect(answer.text, `${method} ${path}`).toMatch(refusal);
      expect(Math.floor(answer.status / 100), `${method} ${path}`).toBe(4);
    }
  }
  const ports = listeningPorts(pids);
  expect(ports).toContain(port);
  for (const other of ports.filter((one) => one !== port)) {
    for (const path of [...otherPaths.split(" "), ...paths]) {
      expect(await rawRequest(other, path), path).toEqual({ status: 403, text: "Forbidden" });
      expect((await rawRequest(other, path, upgrade)).status, path).toBe(403);
    }
  }
}

it("`npm run dev` opens the coordinator alone, and what it stores is its user's only @night", async () => {
  const folder = temporaryFolder();
  const old = join(folder, ".wrangler", "state", "v3", "do", "old");
  mkdirSync(old, { recursive: true });
  writeFileSync(join(old, "one.sqlite"), "");
  for (const path of [join(folder, ".wrangler"), old]) chmodSync(path, 0o755);
  const server = await DevServer.start({ folder, umask: 0o000 });
  expect(await server.makeWorkspace()).toMatch(/^shim_/);
  const pids = server.processes.map(({ pid }) => pid);
  await expectOnlyTheCoordinator(server.port, pids);
  const stored = readdirSync(folder, { recursive: true, encoding: "utf8" });
  expect(stored.filter((name) => name.endsWith(".sqlite")).length).toBeGreaterThan(2);
  expect(stored.filter((name) => (statSync(join(folder, name)).mode & 0o077) !== 0)).toEqual([]);
});

it("a page whose name resolves to this machine is refused, also where a header of the runtime sets the URL @night", async () => {
  const edge = await EdgeRuntime.open();
  const port = Number(new URL(edge.url).port);
  const host = `evil.example:${port}`;
  const chosen = { "mf-original-url": `${edge.url}/health`, "x-forwarded-proto": "http" };
  const token = { authorization: `Bearer ${edge.adminToken}` };
  const paths = ["/health", "/v1/workspaces/team/health", "/v1/workspaces/team/connect", "/cdn-cgi/local/explorer"];
  for (const more of [{}, chosen, token, upgrade, { origin: `http://${host}` }])
    for (const path of paths)
      expect((await rawRequest(port, path, { host, ...more })).status, `${path} ${JSON.stringify(more)}`).toBe(403);
  expect((await rawRequest(port, "/v1/workspaces/team/health", token)).status).toBe(200);
});

it("`npm run dev` that is killed with -9, alone or with its group, leaves no process, also while it starts @night", async () => {
  const server = await DevServer.start();
  server.kill();
  await server.untilGone();
  const group = await DevServer.start({ isAwaited: false });
  await group.runtime();
  group.signal("SIGKILL");
  await group.untilGone();
});
