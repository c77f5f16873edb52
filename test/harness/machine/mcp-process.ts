import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, onTestFinished } from "vitest";
import { McpConnection, record, type Message } from "#harness/machine/mcp-connection.ts";
import * as checkpoints from "#src/machine/sessions/checkpoints/checkpoints.ts";
import type { Paths } from "#src/platform/paths.ts";
import { identify, type ProcessIdentity } from "#src/platform/processes.ts";
import * as spool from "#src/store/spool.ts";
import { hostsOf, killEvery } from "./process-tree.ts";
import { column, tempHome } from "#harness/store/store-test.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import { Client } from "@modelcontextprotocol/client";
import { Client as FirstClient } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { Chat, type ChatTeam } from "#src/local-mcp/mcp/chat/chat.ts";
import { createServer } from "#src/local-mcp/mcp/server.ts";
import { rowCount } from "./claude.ts";
import { tempRuntime, type TempRuntime } from "./temp-runtime.ts";

const root = join(import.meta.dirname, "..", "..", "..");

export const built = {
  get mcp() {
    return program("dist/mcp.cjs");
  },
  get hook() {
    return program("dist/hook.cjs");
  },
  get launcher() {
    return program("bin/shim.mjs");
  },
};

function program(path: string): string {
  if (!fs.existsSync(join(root, "dist", "hook.cjs"))) throw new Error('SHIM is not built. Run "npm run build" first.');
  return join(root, path);
}

/** V8's compiled code of the programs, so that only the first start pays; not in the developer's own folder. */
const cache = fs.mkdtempSync(join(tmpdir(), "shim-e2e-cache-"));
afterAll(() => fs.rmSync(cache, { recursive: true, force: true }));

export type StartOptions = Readonly<{ node?: string; args?: readonly string[]; env?: NodeJS.ProcessEnv }>;

/** Nothing of a client that the tests themselves run under. */
export function envOf(paths: Paths, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const own = { PATH: process.env["PATH"], HOME: dirname(paths.home), XDG_CACHE_HOME: cache, SHIM_HOME: paths.home };
  // Hooks answer Claude Code only.
  return { ...own, CLAUDECODE: "1", ...more };
}

/** A server process, not greeted yet. It is killed with the test. */
export function spawnServer(paths: Paths, options: StartOptions = {}): McpConnection {
  const { node = process.execPath, args = [built.mcp], env } = options;
  const server = new McpConnection({ command: node, args, env: envOf(paths, env), cwd: dirname(paths.home) });
  onTestFinished(() => {
    server.process.kill("SIGKILL");
    killEvery(hostsOf(paths.home));
  });
  return server;
}

export async function startServer(paths: Paths, options: StartOptions = {}): Promise<McpConnection> {
  const server = spawnServer(paths, options);
  await server.initialize("e2e");
  return server;
}

export async function answered(server: McpConnection, tool: string, given: Message): Promise<Message> {
  const { isError, text, data } = await server.callTool(tool, given);
  if (isError) throw new Error(`${tool}: ${text}`);
  return record(data);
}

export function storeOf(paths: Paths): Store {
  const store = new Store({ path: paths.database, driver: openNodeSqlite, now: Date.now });
  onTestFinished(() => store.close());
  return store;
}

export function integrityOf(store: Store): unknown[] {
  return store.read((sql) => column(sql, "PRAGMA integrity_check"), []);
}

/** Of a checkpoint whose hash is checked; null when it is not there. */
export function nextStepOf(store: Store, checkpointId: string): string | null {
  return store.read((sql) => {
    const [found] = checkpoints.byPrefix(sql, checkpointId);
    return found?.id === checkpointId ? checkpoints.requireState(sql, found.seq).nextStep : null;
  }, null);
}

/** Events that were kept because two hosts died while they read them. */
export function setAside({ spool: folder }: Paths): string[] {
  return spool.survey(folder).unreadable.map(({ name }) => fs.readFileSync(join(folder, name), "utf8"));
}

/** A home in which every checkpoint counts: retention takes nothing away. */
export function homeWithoutRetention(): Paths {
  const paths = tempHome();
  fs.mkdirSync(paths.home, { recursive: true });
  fs.writeFileSync(paths.config, JSON.stringify({ retention: { checkpointsPerSession: 1_000_000 } }));
  return paths;
}

/** A whole number from the environment, for longer runs than those of every day. */
export function setting(name: string, usual: number): number {
  const given = process.env[name];
  if (given === undefined) return usual;
  expect(given).toMatch(/^\d+$/);
  return Number(given);
}

/** The clients that are about: the 1.x SDK, and the 2.x SDK in both eras of the protocol. */
export const eras = ["1.x", "legacy", "modern"] as const;
export type Era = (typeof eras)[number];

export type Answer = Readonly<{ isError: boolean; text: string; output: Record<string, unknown> }>;

export type Connected = Awaited<ReturnType<typeof connect>>;

export interface ConnectOptions {
  readonly era?: Era;
  readonly name?: string;
  readonly serverPid?: number;
  readonly clientPid?: number;
  /** The server knows by the client's name that tools are all it has. */
  readonly isWithoutHooks?: boolean;
  readonly team?: (client: ProcessIdentity, server: ProcessIdentity) => ChatTeam | null;
}

/** A real client on the real server, in this process; only the pipe between them is in memory. */
export async function connect(runtime = tempRuntime(), options: ConnectOptions = {}) {
  const { era = "modern", name = "tester", serverPid = 500, clientPid = 400 } = options;
  const server = running(runtime, serverPid, clientPid);
  const owner = running(runtime, clientPid, 1);
  const team = options.team?.(owner, server) ?? null;
  const clientInfo = () => made?.server.getClientVersion() ?? null;
  const chat = new Chat({ runtime, server, client: owner, team, clientInfo });
  let made: ReturnType<typeof createServer> | null = null;
  let answers = 0;
  const afterAnswer = (): void => void (answers += 1);
  const [near, far] = InMemoryTransport.createLinkedPair();
  const factory = (): ReturnType<typeof createServer> =>
    (made = createServer({ chat, version: "1.2.3", clientName: options.isWithoutHooks ? name : null, afterAnswer }));
  const handle = serveStdio(factory, { transport: far });
  const client = await open(era, name, near);
  onTestFinished(async () => {
    await client.close();
    await handle.close();
  });
  const call = async (tool: string, input: Record<string, unknown> = {}): Promise<Answer> => {
    const { content, structuredContent, isError } = await client.callTool({ name: tool, arguments: input });
    const texts = (content as { text: string }[]).map(({ text }) => text);
    return { isError: isError === true, text: texts.join("\n"), output: Object.assign({}, structuredContent) };
  };
  const ask = async (tool: string, input?: Record<string, unknown>): Promise<Answer> => {
    const answer = await call(tool, input);
    if (answer.isError) throw new Error(`${tool}: ${answer.text}`);
    return answer;
  };
  const refusal = async (tool: string, input?: Record<string, unknown>): Promise<string> => {
    const { isError, text } = await call(tool, input);
    if (!isError) throw new Error(`${tool} was not refused: ${text}`);
    return text;
  };
  return { runtime, client, chat, server, answers: () => answers, call, ask, refusal };
}

function running({ processes }: TempRuntime, pid: number, parent: number): ProcessIdentity {
  return identify(processes, pid) ?? processes.start(pid, parent);
}

async function open(era: Era, name: string, transport: InMemoryTransport): Promise<Client | FirstClient> {
  const info = { name, version: "1" };
  const mode = era === "modern" ? "auto" : "legacy";
  const client = era === "1.x" ? new FirstClient(info) : new Client(info, { versionNegotiation: { mode } });
  await client.connect(transport);
  return client;
}

/** A client without hooks and session ids, one process for the whole app. */
export async function desktop(runtime = tempRuntime(), pid = 500): Promise<Connected> {
  return connect(runtime, { serverPid: pid, clientPid: pid + 100, name: "claude-ai", isWithoutHooks: true });
}

/** A chat of a client without hooks that has died with work in it; its handle. */
export async function aDeadChat(runtime: TempRuntime, goal = "write the importer"): Promise<string> {
  const { call, server } = await desktop(runtime, 900 + rowCount(runtime, "sessions"));
  const { output } = await call("shim_force_checkpoint", { goal, nextStep: "test it" });
  runtime.processes.kill(server.pid);
  runtime.wait(60_000);
  return String(output["session"]);
}
