import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { LocalEdge, startEdge, type LocalEdgeOptions } from "../../../scripts/local-edge.ts";
import { writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { addKey, type WorkspaceKey } from "#src/machine/sharing/key-ring.ts";
import type { Self } from "#src/contract/values.ts";
import { omitUndefined } from "#src/shared/omit-undefined.ts";
import { once } from "node:events";
import { createServer } from "node:net";
import { given } from "#harness/coordinator/state-calls.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { type OpenSocket, type Platform, nodePlatform } from "#src/coordinator-client/edge/platform.ts";

const root = join(import.meta.dirname, "..", "..", "..");

interface EdgeRuntimeOptions extends Pick<LocalEdgeOptions, "log" | "documents" | "bindings"> {
  /** Another one, whose state this one uses, too. */
  readonly beside?: EdgeRuntime;
  /** Clients sign in, as the guide on remote MCP says. */
  readonly isOAuth?: boolean;
}

async function oauthOptions(): Promise<Pick<LocalEdgeOptions, "port" | "bindings" | "namespaces">> {
  const port = await freePort();
  return { port, bindings: { SHIM_PUBLIC_URL: `http://127.0.0.1:${port}` }, namespaces: ["OAUTH_KV"] };
}

export class EdgeRuntime extends LocalEdge {
  readonly folder: string;

  constructor(started: ConstructorParameters<typeof LocalEdge>[0], folder: string) {
    super(started);
    this.folder = folder;
  }

  static async open({ beside, isOAuth = false, ...options }: EdgeRuntimeOptions = {}): Promise<EdgeRuntime> {
    const scratch = join(root, ".scratch");
    mkdirSync(scratch, { recursive: true });
    const folder = beside ? dirname(beside.folder) : mkdtempSync(join(scratch, "edge-"));
    const entry = join(root, "src", "worker", "worker-entry.ts");
    const oauth = isOAuth ? await oauthOptions() : {};
    const started = await startEdge({ entry, folder, ...omitUndefined({ beside }), ...options, ...oauth });
    const edge = new EdgeRuntime(started, join(folder, "state"));
    onTestFinished(async () => {
      await edge.close();
      if (!beside) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    });
    return edge;
  }

  async register(chat: string): Promise<Self> {
    const about = { chat, session: chat, process: `boot/1/${chat}`, machine: "m", client: "test" };
    const { incarnation } = await this.call("chats.register", about);
    return { chat, incarnation };
  }

  async join(home: string, machine: string, key?: WorkspaceKey): Promise<void> {
    const { token } = await this.call("tokens.create", { machine, scope: "work" });
    const { url, workspace } = this;
    mkdirSync(home, { recursive: true, mode: 0o700 });
    writeEdgeConfig(home, { url, workspace, machine, token });
    if (key) addKey(home, { url, workspace }, key);
  }
}

/** Below those that the kernel gives out by itself (32768 and more), so that no other program is given one in the meantime. */
const [first, count] = [25_000, 7_000];
/** Processes beside each other begin at different ones. */
let next = process.pid * 31;

export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + (next++ % count);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}

export async function realEdgeClient(
  edge: string,
  token: string,
  chat: string,
  more: Partial<InputOf<"chats.register">> = {},
  hasSockets = true,
): Promise<WorkspaceClient> {
  const platform = nodePlatform();
  const openSocket: Platform["openSocket"] = hasSockets ? platform.openSocket : refuseSocket;
  const opened = WorkspaceClient.open({ edge, workspace: "team", token }, { ...platform, openSocket });
  if (!opened.ok) throw new Error(opened.error);
  const client = opened.value;
  onTestFinished(() => client.close());
  client.connect();
  given(await client.register({ chat, session: chat, process: chat, machine: "admin", client: "test", ...more }));
  return client;
}

/** As where a proxy blocks them. */
const refuseSocket: OpenSocket = (_url, _headers, { onClose }) => {
  setImmediate(() => onClose(1006, "no socket was opened"));
  return { send: () => undefined, close: () => undefined };
};
