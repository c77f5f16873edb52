import { existsSync, mkdirSync } from "node:fs";
import { request } from "node:http";
import { connect as connectTo, type Socket } from "node:net";
import { onTestFinished, vi } from "vitest";
import { Host } from "#src/local-mcp/host/host-process.ts";
import { hostSocket } from "#src/platform/host-socket.ts";
import { identify } from "#src/platform/processes.ts";
import { tempRuntime, type TempRuntime } from "./temp-runtime.ts";

export type Message = Record<string, unknown>;
export const program = { version: "2.0.0", builtAt: 1 };
/** How long a test waits for what comes by itself: no speed of the machine decides. */
export const patience = { timeout: 120_000, interval: 20 };

/** A host of the test; time passes when the test says so. */
export async function aHost(
  runtime: TempRuntime = tempRuntime(),
  faked: readonly ("setTimeout" | "setInterval")[] = [],
) {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", ...faked] });
  mkdirSync(runtime.paths.home, { recursive: true });
  const socket = hostSocket(runtime.paths.home, runtime.processes.boot());
  const killed: number[] = [];
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>();
  const self = runtime.processes.start(7_000);
  const host = new Host({ runtime, self, program, socket, kill: (pid) => void killed.push(pid), onEnded });
  onTestFinished(() => {
    host.stop();
    vi.useRealTimers();
  });
  await vi.waitUntil(() => existsSync(socket), patience);
  return { runtime, host, socket, killed, ended };
}

type HostRig = Awaited<ReturnType<typeof aHost>>;

interface Chat {
  readonly pid: number;
  readonly clientPid: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly isRestart?: boolean;
}

/** A front that the test plays. */
export async function aFront({ runtime, socket }: HostRig, { pid, clientPid, env = {}, isRestart = false }: Chat) {
  for (const each of [clientPid, pid]) if (!runtime.processes.facts(each)) runtime.processes.start(each);
  const connection = await open(socket);
  const heard: Message[] = [];
  const waiting = new Map<unknown, (message: Message) => void>();
  eachMessage(connection, (message) => {
    heard.push(message);
    waiting.get(message["id"])?.(message);
  });
  const send = (message: object): void => void connection.write(`${JSON.stringify(message)}\n`);
  connection.write("GET /mcp HTTP/1.1\r\nHost: shim\r\nConnection: Upgrade\r\nUpgrade: shim-mcp\r\n\r\n");
  const identities = { front: identify(runtime.processes, pid), client: identify(runtime.processes, clientPid) };
  send({ program, ...identities, isRestart, isExtension: false, env });
  let id = 0;
  const ask = (method: string, params: object): Promise<Message> => {
    const { promise, resolve } = Promise.withResolvers<Message>();
    waiting.set((id += 1), resolve);
    send({ jsonrpc: "2.0", id, method, params });
    return promise;
  };
  const call = async (name: string, given: object): Promise<Message> => {
    const { result } = await ask("tools/call", { name, arguments: given });
    return result as Message;
  };
  const save = async (goal: string): Promise<string> => {
    const { structuredContent } = await call("shim_force_checkpoint", { goal });
    return String((structuredContent as Message)["session"]);
  };
  const clientInfo = { name: "raw", version: "1" };
  await ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  send({ jsonrpc: "2.0", method: "notifications/initialized" });
  const closed = new Promise<void>((resolve) => void connection.once("close", () => resolve()));
  return { connection, send, ask, call, save, heard, closed, greeting: heard[0] };
}

export function open(socket: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const connection = connectTo(socket, () => resolve(connection));
    connection.once("error", reject);
    onTestFinished(() => void connection.destroy());
  });
}

function eachMessage(connection: Socket, onMessage: (message: Message) => void): void {
  let text = "";
  connection.on("data", (part: Buffer) => {
    const lines = (text + part.toString()).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("{")) onMessage(JSON.parse(line) as Message);
  });
}

export function ask(
  socketPath: string,
  method: string,
  path: string,
  question?: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, headers }, (response) => {
      let body = "";
      response.on("data", (part: Buffer) => (body += part.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on("error", reject).end(question && JSON.stringify(question));
  });
}

export async function statusOf({ socket }: HostRig): Promise<Message> {
  return JSON.parse((await ask(socket, "GET", "/status")).body) as Message;
}
