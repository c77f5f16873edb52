import { Client } from "@modelcontextprotocol/client";
import { Client as FirstClient } from "@modelcontextprotocol/sdk/client/index.js";
import { InMemoryTransport } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { onTestFinished } from "vitest";
import { Chat, type ChatTeam } from "#src/local-mcp/mcp/chat/chat.ts";
import { createServer } from "#src/local-mcp/mcp/server.ts";
import type { ProcessIdentity } from "#src/platform/processes.ts";
import { rowCount } from "./claude.ts";
import type { TempRuntime } from "./temp-runtime.ts";

/** The clients that are about: the 1.x SDK, and the 2.x SDK in both eras of the protocol. */
export const eras = ["1.x", "legacy", "modern"] as const;
export type Era = (typeof eras)[number];

export interface Answer {
  readonly isError: boolean;
  readonly text: string;
  readonly output: Record<string, unknown>;
}

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
export async function connect(runtime: TempRuntime, options: ConnectOptions = {}) {
  const { era = "modern", name = "tester", serverPid = 500, clientPid = 400 } = options;
  const server = running(runtime, serverPid, clientPid);
  const chat = new Chat({
    runtime,
    server,
    client: running(runtime, clientPid, 1),
    team: options.team?.(running(runtime, clientPid, 1), server) ?? null,
    clientInfo: () => made?.server.getClientVersion() ?? null,
  });
  let made: ReturnType<typeof createServer> | null = null;
  /** How often work was asked for after an answer. */
  let answers = 0;
  const afterAnswer = (): void => {
    answers += 1;
  };
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
  return { client, chat, server, answers: () => answers, call, ask, refusal };
}

function running(runtime: TempRuntime, pid: number, parent: number): ProcessIdentity {
  const facts = runtime.processes.facts(pid);
  return facts ? { boot: runtime.processes.boot(), pid, start: facts.start } : runtime.processes.start(pid, parent);
}

async function open(era: Era, name: string, transport: InMemoryTransport): Promise<Client | FirstClient> {
  const info = { name, version: "1" };
  const mode = era === "modern" ? "auto" : "legacy";
  const client = era === "1.x" ? new FirstClient(info) : new Client(info, { versionNegotiation: { mode } });
  await client.connect(transport);
  return client;
}

/** A client without hooks and session ids, one process for the whole app. */
export async function desktop(runtime: TempRuntime, pid = 500): Promise<Connected> {
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
