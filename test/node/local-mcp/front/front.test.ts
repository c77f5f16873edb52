import { expect, it, onTestFinished } from "vitest";
import { InMemoryTransport, SUPPORTED_PROTOCOL_VERSIONS, type JSONRPCMessage } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { witnessMethod } from "#src/local-mcp/front/control.ts";
import { Chat } from "#src/local-mcp/chat/chat.ts";
import { initializeResult } from "#src/local-mcp/front/handshake.ts";
import { lateTeam } from "#src/local-mcp/chat/late-team.ts";
import { clientInfoIn, createServer } from "#src/local-mcp/server/server.ts";
import { version } from "#src/platform/version.ts";
import { aFrontRig, settled, type FrontRig } from "#harness/machine/front-rig.ts";
import { aDeadChat } from "#harness/machine/mcp-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const initialize = { jsonrpc: "2.0", id: 0, method: "initialize", params: {} };
const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
const hook = (id: number): object => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name: "shim_hook", arguments: { event: "Stop" } },
});

/** After the handshake, which the first worker has answered. */
async function greeted(...options: Parameters<typeof aFrontRig>): Promise<FrontRig> {
  const rig = aFrontRig(...options);
  await rig.say(initialize);
  await rig.workers[0]?.answer({ id: 0, result: { serverInfo: {} } });
  await rig.say(initialized);
  return rig;
}

it("[PR9] the client talks to the worker through the front, byte for byte", async () => {
  const rig = await greeted();
  const odd = { jsonrpc: "2.0", id: "1", method: "tools/list", params: { text: "\u2028 \u0000 \u{1F600} ${x}" } };
  await rig.say(JSON.stringify(odd).slice(0, 20), `${JSON.stringify(odd).slice(20)}\n`);
  expect(rig.workers[0]?.received()).toEqual([initialize, initialized, odd]);
  await rig.workers[0]?.answer({ method: "notifications/message", params: {} });
  await rig.workers[0]?.answer({ id: "1", result: { tools: [] } });
  expect(rig.heard().slice(1)).toEqual([
    { jsonrpc: "2.0", method: "notifications/message", params: {} },
    { jsonrpc: "2.0", id: "1", result: { tools: [] } },
  ]);
});

it("[HO66] that the client has begun is told once, after the answer to its handshake", async () => {
  const rig = await greeted(undefined, () => ({ serverInfo: {} }));
  await rig.workers[0]?.die();
  expect(rig.initialized).toEqual([1]);
});

it("[HO30] hook events are answered by the front; the worker never sees them, and a slow one delays no other", async () => {
  const waiting: ((answer: object) => void)[] = [];
  const rig = await greeted(
    (given) => new Promise((resolve) => void (expect(given).toEqual({ event: "Stop" }), waiting.push(resolve))),
  );
  await rig.say(hook(7), hook(8));
  waiting[1]?.({ content: [] });
  await settled();
  expect(rig.heard().slice(1)).toEqual([{ jsonrpc: "2.0", id: 8, result: { content: [] } }]);
  expect(rig.workers[0]?.received()).toHaveLength(2);
});

it("[PR9] a worker that dies is started again: the handshake is repeated, open requests are sent again", async () => {
  const rig = await greeted();
  const list = { jsonrpc: "2.0", id: 3, method: "tools/list" };
  await rig.say(list);
  await rig.workers[0]?.die();
  const [, second] = rig.workers;
  expect([rig.workers.length, second?.isRestart]).toEqual([2, true]);
  expect(second?.received()).toEqual([initialize, initialized, list]);
  await second?.answer({ id: 0, result: { serverInfo: {} } });
  await second?.answer({ id: 3, result: { tools: [] } });
  expect(rig.heard().map(({ id }) => id)).toEqual([0, 3]);
});

it("[PR13] a tool call that died with its worker is answered with an error, and never repeated", async () => {
  const rig = await greeted();
  await rig.say({ jsonrpc: "2.0", id: 4, method: "tools/call", params: { name: "shim_send", arguments: {} } });
  await rig.workers[0]?.die();
  const [answer] = rig.heard().slice(1);
  expect(answer).toMatchObject({ id: 4, result: { isError: true } });
  expect(JSON.stringify(answer)).toContain("outcome_unknown");
  expect(rig.workers[1]?.received()).toEqual([initialize, initialized]);
});

it("[PR9] a worker that died before its first answer is asked again, and the client receives one answer", async () => {
  const rig = aFrontRig();
  await rig.say(initialize);
  await rig.workers[0]?.die();
  expect(rig.workers[1]?.received()).toEqual([initialize]);
  await rig.workers[1]?.answer({ id: 0, result: {} });
  expect(rig.heard().map(({ id }) => id)).toEqual([0]);
});

it("[PR12] the front answers the handshake; the worker's own answer, and that of each worker after it, never reach the client", async () => {
  const rig = aFrontRig(undefined, (params) => ({ instructions: "…", params }));
  await rig.say(initialize, initialized);
  const answer = { jsonrpc: "2.0", id: 0, result: { instructions: "…", params: {} } };
  expect(rig.heard()).toEqual([answer]);
  expect(rig.workers[0]?.received()).toEqual([initialize, initialized]);
  await rig.workers[0]?.die();
  expect(rig.workers[1]?.received()).toEqual([initialize, initialized]);
  await rig.workers[1]?.answer({ id: 0, result: { instructions: "of the worker" } });
  await rig.workers[1]?.answer({ method: "notifications/tools/list_changed" });
  await rig.workers[1]?.die();
  await rig.workers[2]?.answer({ id: 0, result: {} });
  expect(rig.heard()).toEqual([answer, { jsonrpc: "2.0", method: "notifications/tools/list_changed" }]);
});

it("[PR9] a cancelled request is not sent again", async () => {
  const rig = await greeted();
  await rig.say(
    { jsonrpc: "2.0", id: 5, method: "resources/list" },
    { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } },
  );
  await rig.workers[0]?.die();
  expect(rig.workers[1]?.received()).toEqual([initialize, initialized]);
});

it("[PR10] a worker that cannot start does not spin: each attempt waits longer, at most ten seconds", async () => {
  const rig = aFrontRig();
  const pauses: number[] = [];
  for (let death = 0; death < 12; death++) {
    void rig.workers.at(-1)?.die(1);
    const next = rig.later.shift();
    if (next) {
      pauses.push(next.ms);
      next.work();
    }
  }
  expect(pauses.slice(0, 3)).toEqual([200, 400, 800]);
  expect(Math.max(...pauses)).toBe(10_000);
  rig.now += 20_000;
  void rig.workers.at(-1)?.die();
  expect(rig.later).toEqual([]);
  await settled();
});

it("[PR9] a request that comes while no worker runs waits for the next one", async () => {
  const rig = await greeted();
  void rig.workers[0]?.die();
  void rig.workers[1]?.die();
  const list = { jsonrpc: "2.0", id: 6, method: "tools/list" };
  await rig.say(list);
  expect(rig.workers).toHaveLength(2);
  rig.later.shift()?.work();
  await settled();
  expect(rig.workers[2]?.received().at(-1)).toEqual(list);
});

it.each([
  ["the end of stdin", (rig: FrontRig) => rig.stdin.end(), []],
  ["an error of stdin", (rig: FrontRig) => rig.stdin.emit("error", new Error("EIO")), []],
  ["a signal", (rig: FrontRig) => rig.front.end("SIGTERM"), ["SIGTERM"]],
] as const)("[PR11] %s is the end of both: the worker saves first", async (_, end, signals) => {
  const rig = await greeted();
  end(rig);
  await settled();
  expect(rig.exits).toEqual([]);
  expect(rig.workers[0]).toMatchObject({ signals });
  expect(rig.workers[0]?.isEnded()).toBe(signals.length === 0);
  for (const { work, ms } of rig.later) if (ms < 1_000) work();
  expect(rig.workers[0]?.isEnded()).toBe(true);
  await rig.workers[0]?.die(0);
  expect([rig.exits, rig.workers.length]).toEqual([[0], 1]);
});

it("[TE112] a worker that stays as the witness of its client outlives the front", async () => {
  const rig = await greeted();
  rig.stdin.end();
  await settled();
  await rig.workers[0]?.answer({ jsonrpc: "2.0", method: witnessMethod });
  await settled();
  expect([rig.exits, rig.workers[0]?.signals]).toEqual([[0], []]);
});

it("[SI47] a signal that arrives with the end of stdin is passed on to the worker", async () => {
  const rig = await greeted();
  rig.stdin.once("end", () => rig.front.end("SIGINT"));
  rig.stdin.end();
  await settled();
  expect(rig.workers[0]?.signals).toEqual(["SIGINT"]);
});

it("[PR11] [PR14] a worker that ends in good order ends the front where its client is gone, else it is started again", async () => {
  for (const isClientAlive of [false, true]) {
    const rig = await greeted();
    rig.isClientAlive = isClientAlive;
    await rig.workers[0]?.die(0);
    expect([rig.exits, rig.workers.length]).toEqual(isClientAlive ? [[], 2] : [[0], 1]);
  }
});

it("[PR10] a request with which two workers have died is answered with an error and sent to no third", async () => {
  const rig = await greeted();
  void rig.say({ jsonrpc: "2.0", id: 9, method: "resources/list" });
  let isDone = false;
  void rig.front.request("shim/after-event", { sessionId: "s" }).then(() => (isDone = true));
  await settled();
  await rig.workers[0]?.die();
  void rig.workers[1]?.die();
  rig.later.shift()?.work();
  await settled();
  expect(rig.workers[1]?.received()).toHaveLength(4);
  expect(rig.workers[2]?.received()).toEqual([initialize, initialized]);
  expect(rig.heard().at(-1)).toMatchObject({ id: 9, error: { code: -32_603 } });
  expect(isDone).toBe(true);
});

it("[PR11] the output of a worker whose client reads no more is held back while both live, and does not delay the end", async () => {
  const rig = await greeted();
  rig.stdout.pause();
  for (let id = 1; id <= 20; id++)
    await rig.workers[0]?.answer({ method: "notifications/message", params: "x".repeat(10_000) });
  expect(rig.workers[0]?.isHeld()).toBe(true);
  expect(rig.stdout.listenerCount("drain")).toBe(1);
  rig.stdin.end();
  await settled();
  expect(rig.workers[0]?.isHeld()).toBe(false);
});

it("[PR11] a client that has closed its end of stdout ends front and worker, although stdin stays open", async () => {
  const rig = await greeted();
  rig.stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  await settled();
  expect(rig.workers[0]?.isEnded()).toBe(true);
  void rig.workers[0]?.die(0);
  expect(rig.exits).toEqual([0]);
});

it("[PR11] a worker that does not end in time is killed and not waited for", async () => {
  const rig = await greeted();
  rig.stdin.end();
  await settled();
  const last = rig.later.at(-1);
  expect(last?.ms).toBe(15_000);
  expect(rig.workers[0]?.signals).toEqual([]);
  last?.work();
  expect([rig.workers[0]?.signals, rig.exits]).toEqual([["SIGKILL"], [1]]);
});

it("[HO56] work that an event has left is asked of the next worker when the first one dies with it", async () => {
  const rig = await greeted();
  let isDone = false;
  void rig.front.request("shim/after-event", { sessionId: "s" }).then(() => (isDone = true));
  await settled();
  await rig.workers[0]?.die();
  const again = rig.workers[1]?.received().at(-1);
  expect(again).toMatchObject({ method: "shim/after-event", params: { sessionId: "s" } });
  await rig.workers[1]?.answer({ id: again?.["id"], result: {} });
  expect(isDone).toBe(true);
  expect(rig.heard()).toHaveLength(1);
});

/** What the worker's server answers to `initialize`: its result, or null for an error. */
async function answerOfWorker(runtime: TempRuntime, params: Record<string, unknown>): Promise<unknown> {
  const server = runtime.processes.start(500, 400);
  const team = lateTeam(runtime, server, () => null);
  const chat = new Chat({ runtime, server, client: null, clientInfo: () => null, team });
  const [client, transport] = InMemoryTransport.createLinkedPair();
  const initialize = { jsonrpc: "2.0" as const, id: 1, method: "initialize", params };
  const clientName = clientInfoIn(initialize)?.name ?? null;
  const handle = serveStdio(() => createServer({ chat, version, clientName, afterAnswer: () => {} }), { transport });
  onTestFinished(() => handle.close());
  return new Promise((resolve) => {
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- a transport of the SDK is no EventTarget
    client.onmessage = (message: JSONRPCMessage) => resolve("result" in message ? message.result : null);
    void client.start().then(() => client.send(initialize));
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
  const whole = { protocolVersion: "2025-11-25", ...client };
  for (const change of [
    { protocolVersion: undefined },
    { protocolVersion: 1 },
    { capabilities: undefined },
    { capabilities: [] },
    { clientInfo: undefined },
    { clientInfo: { name: "tester" } },
  ]) {
    const params = { ...whole, ...change };
    expect(initializeResult(runtime, params), JSON.stringify(change)).toBeNull();
    expect(await answerOfWorker(runtime, params), JSON.stringify(change)).toBeNull();
  }
  expect(initializeResult(runtime, undefined)).toBeNull();
});
