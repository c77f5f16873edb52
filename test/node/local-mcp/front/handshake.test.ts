import { InMemoryTransport, SUPPORTED_PROTOCOL_VERSIONS, type JSONRPCMessage } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { expect, it, onTestFinished } from "vitest";
import { Chat } from "#src/local-mcp/server/chat/chat.ts";
import { initializeResult } from "#src/local-mcp/front/handshake.ts";
import { lateTeam } from "#src/local-mcp/server/chat/late-team.ts";
import { createServer } from "#src/local-mcp/server/server.ts";
import { version } from "#src/platform/version.ts";
import { aDeadChat } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

/** What the worker's server answers to `initialize`: its result, or null for an error. */
async function answerOfWorker(runtime: TempRuntime, params: Record<string, unknown>): Promise<unknown> {
  const server = runtime.processes.start(500, 400);
  const team = lateTeam(runtime, server, () => null);
  const chat = new Chat({ runtime, server, client: null, clientName: () => null, team });
  const [client, transport] = InMemoryTransport.createLinkedPair();
  const handle = serveStdio(() => createServer({ chat, version, afterAnswer: () => {} }), { transport });
  onTestFinished(() => handle.close());
  return new Promise((resolve) => {
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport of the SDK is no EventTarget
    client.onmessage = (message: JSONRPCMessage) => resolve("result" in message ? message.result : null);
    void client.start().then(() => client.send({ jsonrpc: "2.0", id: 1, method: "initialize", params }));
  });
}

const client = { capabilities: { roots: {} }, clientInfo: { name: "tester", version: "1" } };

it("[PR12] the front answers the handshake as the worker would, in every version of the protocol and in one that is not known", async () => {
  for (const protocolVersion of [...SUPPORTED_PROTOCOL_VERSIONS, "2026-07-28", "1999-01-01", ""]) {
    const params = { protocolVersion, ...client };
    const runtime = tempRuntime();
    expect(initializeResult(runtime, params), protocolVersion).toEqual(await answerOfWorker(runtime, params));
  }
});

it("[PR12] its instructions are the worker's: with hooks, in a task, and of a session that died", async () => {
  const params = { protocolVersion: "2025-11-25", ...client };
  for (const env of [{}, { CLAUDE_CODE_SESSION_ID: "s" }, { SHIM_TASK: "7" }]) {
    const runtime = tempRuntime({ env });
    await aDeadChat(runtime);
    const result = initializeResult(runtime, params);
    expect(result).toMatchObject({ instructions: expect.stringMatching(/finish: true/) as string });
    expect(result).toEqual(await answerOfWorker(runtime, params));
  }
});

it("[PR12] a request that is not complete is left to the worker, which refuses it", async () => {
  const runtime = tempRuntime();
  const { capabilities, clientInfo } = client;
  for (const params of [
    {},
    { protocolVersion: 1, ...client },
    { protocolVersion: "2025-11-25", clientInfo },
    { protocolVersion: "2025-11-25", capabilities },
    { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "tester" } },
    { protocolVersion: "2025-11-25", capabilities: [], clientInfo },
  ]) {
    expect(initializeResult(runtime, params), JSON.stringify(params)).toBeNull();
    expect(await answerOfWorker(runtime, params), JSON.stringify(params)).toBeNull();
  }
  expect(initializeResult(runtime, undefined)).toBeNull();
});
