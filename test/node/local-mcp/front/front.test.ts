import * as fc from "fast-check";
import { expect, it } from "vitest";
import { forAllAsync } from "#harness/properties.ts";
import { aFrontRig, ownProgram, settled, type FrontRig, type Message } from "#harness/machine/host-rig.ts";
import { duplexPair } from "node:stream";
import { parseJSONRPCMessage, type JSONRPCMessage } from "@modelcontextprotocol/server";
import { maxLineBytes } from "#src/local-mcp/front/lines.ts";
import { ConnectionTransport } from "#src/local-mcp/host/connection-transport.ts";

const initialize = { jsonrpc: "2.0", id: 0, method: "initialize", params: {} };
const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
const request = (id: number | string, method: string): object => ({ jsonrpc: "2.0", id, method });
const call = (id: number | string, name: string, given: object = {}): object =>
  Object.assign(request(id, "tools/call"), { params: { name, arguments: given } });
const hook = (id: number): object => call(id, "shim_hook", { event: "Stop" });

/** After the handshake, which the first host has answered. */
async function greeted(...options: Parameters<typeof aFrontRig>): Promise<FrontRig> {
  const rig = aFrontRig(...options);
  await rig.hosts[0]?.greet();
  await rig.say(initialize);
  await rig.hosts[0]?.answer({ id: 0, result: { serverInfo: {} } });
  await rig.say(initialized);
  return rig;
}

it("the client talks to the host through the front, byte for byte", async () => {
  const rig = await greeted();
  const odd = { jsonrpc: "2.0", id: "1", method: "tools/list", params: { text: "\u2028 \u0000 \u{1F600} ${x}" } };
  await rig.say(JSON.stringify(odd).slice(0, 20), `${JSON.stringify(odd).slice(20)}\n`);
  expect(rig.hosts[0]?.received()).toEqual([initialize, initialized, odd]);
  await rig.hosts[0]?.answer({ method: "notifications/message", params: {} });
  await rig.hosts[0]?.answer({ id: "1", result: { tools: [] } });
  expect(rig.heard().slice(1)).toEqual([
    { jsonrpc: "2.0", method: "notifications/message", params: {} },
    { jsonrpc: "2.0", id: "1", result: { tools: [] } },
  ]);
});

it("after the death of a host the handshake is repeated at the next one, and open requests and events are sent again, cancelled ones not", async () => {
  const rig = await greeted();
  const list = request(3, "tools/list");
  const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } };
  await rig.say(list, hook(4), { ...list, id: 5 }, cancel);
  await rig.hosts[0]?.die();
  const [, second] = rig.hosts;
  expect([rig.hosts.length, second?.isRestart]).toEqual([2, true]);
  await second?.greet();
  expect(second?.received()).toEqual([initialize, initialized, list, hook(4)]);
  await second?.answer({ id: 0, result: { serverInfo: {} } });
  await second?.answer({ id: 3, result: { tools: [] } });
  await second?.answer({ id: 4, result: { content: [] } });
  expect(rig.heard().map(({ id }) => id)).toEqual([0, 3, 4]);
});

it("of the tool calls that died with their host those are sent again that may be repeated; another is answered with an error", async () => {
  const rig = await greeted();
  const repeatable = call(3, "shim_session_status");
  await rig.say(repeatable, call(4, "shim_send"));
  await rig.hosts[0]?.die();
  await rig.hosts[1]?.greet();
  const [answer] = rig.heard().slice(1);
  expect(answer).toMatchObject({ id: 4, result: { isError: true } });
  expect(JSON.stringify(answer)).toContain("outcome_unknown");
  expect(rig.hosts[1]?.received()).toEqual([initialize, initialized, repeatable]);
});

it("a tool call that no host has received yet is not lost when none can be reached", async () => {
  const rig = await greeted();
  await rig.hosts[0]?.die();
  await rig.say(call(4, "shim_send"));
  await rig.hosts[1]?.die();
  await rig.pass(1_000);
  await rig.hosts[2]?.greet();
  expect(rig.hosts[2]?.received().at(-1)).toEqual(call(4, "shim_send"));
});

it("a host that cannot be reached is not tried without a pause: each lasts longer, at most ten seconds", async () => {
  const rig = aFrontRig();
  const pauses: number[] = [];
  for (let death = 0; death < 12; death++) {
    await rig.hosts.at(-1)?.die();
    pauses.push(...(await rig.pass(10_000)));
  }
  expect(pauses.slice(0, 3)).toEqual([200, 400, 800]);
  expect(Math.max(...pauses)).toBe(10_000);
  await rig.hosts.at(-1)?.greet();
  rig.now += 20_000;
  const before = rig.hosts.length;
  await rig.hosts.at(-1)?.die();
  expect(rig.hosts).toHaveLength(before + 1);
});

it("where no host can be started requests are answered with the reason, and later ones again", async () => {
  const rig = aFrontRig();
  await rig.say(initialize);
  for (let start = 0; start < 3; start++) {
    await rig.hosts.at(-1)?.die();
    await rig.pass(1_000);
  }
  expect(rig.heard()).toEqual([
    { jsonrpc: "2.0", id: 0, error: { code: -32_603, message: expect.stringContaining("(closed)") as string } },
  ]);
  await rig.say({ ...initialize, id: 1 });
  await rig.hosts.at(-1)?.greet();
  expect(rig.hosts.at(-1)?.received()).toEqual([{ ...initialize, id: 1 }]);
});

it("with which two hosts have died is sent to no third: a request is answered with an error, an event stored without a host", async () => {
  const stored: unknown[] = [];
  const rig = await greeted(async (given) => (stored.push(given), { content: [] }));
  await rig.say(request(8, "resources/list"), hook(9));
  await rig.hosts[0]?.die();
  await rig.hosts[1]?.greet();
  expect([stored, rig.hosts[1]?.received().length]).toEqual([[], 4]);
  await rig.hosts[1]?.die();
  await rig.pass(1_000);
  await rig.hosts[2]?.greet();
  expect(stored).toEqual([{ event: "Stop" }]);
  const [error, answer] = rig.heard().slice(1);
  expect(error).toMatchObject({ id: 8, error: { code: -32_603 } });
  expect(answer).toEqual({ jsonrpc: "2.0", id: 9, result: { content: [] } });
  expect(rig.hosts[2]?.received()).toEqual([initialize, initialized]);
});

it("where no host can be reached an event is kept without one within two seconds, and the client goes on", async () => {
  const stored: unknown[] = [];
  const rig = aFrontRig(async (given) => (stored.push(given), { content: [] }));
  await rig.say(hook(1));
  await rig.pass(1_799);
  expect(stored).toEqual([]);
  await rig.pass(1_800);
  expect(stored).toEqual([{ event: "Stop" }]);
  expect(rig.heard()).toEqual([{ jsonrpc: "2.0", id: 1, result: { content: [] } }]);
  await rig.hosts[0]?.greet();
  expect(rig.hosts[0]?.received()).toEqual([]);
});

it("a host that answers no ping for five seconds while the client waits is ended; one that works is not", async () => {
  const rig = await greeted();
  await rig.say(call(2, "shim_next"));
  for (let round = 0; round < 4; round++) {
    rig.hosts[0]?.answerPings();
    await rig.pass(2_500);
  }
  expect(rig.ended).toEqual([]);
  await rig.pass(2_500);
  await rig.pass(2_500);
  expect(rig.ended).toEqual([rig.hosts[0]?.host]);
});

it("a host that has announced long work is not ended until that is over, and ten minutes at most", async () => {
  const rig = await greeted();
  await rig.say(call(2, "shim_next"));
  await rig.hosts[0]?.answer({ method: "shim/long-work", params: { isOver: false } });
  for (let round = 0; round < 8; round++) await rig.pass(2_500);
  expect(rig.ended).toEqual([]);
  rig.now += 600_001;
  await rig.pass(2_500);
  expect(rig.ended).toEqual([rig.hosts[0]?.host]);
  const other = await greeted();
  for (const isOver of [false, true]) await other.hosts[0]?.answer({ method: "shim/long-work", params: { isOver } });
  await other.say(call(2, "shim_next"));
  for (let round = 0; round < 3; round++) await other.pass(2_500);
  expect(other.ended).toHaveLength(1);
});

it("an older host is asked to hand over, and gets nothing else; a newer one serves an older front", async () => {
  const older = aFrontRig();
  await older.say(initialize);
  await older.hosts[0]?.greet({ version: "1.9.0", builtAt: 5_000 });
  expect(older.hosts[0]?.control()).toEqual([{ method: "shim/hand-over", params: {} }]);
  expect([older.hosts[0]?.received(), older.reserved]).toEqual([[], 1]);
  await older.hosts[0]?.die();
  await older.hosts[1]?.greet();
  expect([older.hosts[1]?.isRestart, older.hosts[1]?.received()]).toEqual([false, [initialize]]);
  const newer = aFrontRig();
  await newer.say(initialize);
  await newer.hosts[0]?.greet({ ...ownProgram, builtAt: ownProgram.builtAt + 1 });
  expect(newer.hosts[0]?.received()).toEqual([initialize]);
});

it("the end of stdin, an error of it, a client that reads no more, or a signal ends the front, and the host learns the reason first", async () => {
  for (const [end, reason] of [
    [(rig: FrontRig) => rig.stdin.end(), "stdin_end"],
    [(rig: FrontRig) => rig.stdin.emit("error", new Error("EIO")), "stdin_end"],
    [(rig: FrontRig) => rig.stdout.destroy(new Error("EPIPE")), "stdin_end"],
    [(rig: FrontRig) => rig.front.end("SIGTERM"), "sigterm"],
  ] as const) {
    const rig = await greeted();
    end(rig);
    await settled();
    for (let check = 0; check < 10; check++) await rig.pass(5);
    expect(rig.hosts[0]?.control().at(-1)).toEqual({ method: "shim/end", params: { reason } });
    expect(rig.exits).toEqual([]);
    await rig.hosts[0]?.die();
    expect([rig.exits, rig.hosts.length]).toEqual([[0], 1]);
  }
});

it("the end is reported at once where the client was killed; a signal right after the end of stdin is its reason", async () => {
  const [killed, signalled] = [await greeted(), await greeted()];
  killed.isClientAlive = false;
  killed.stdin.end();
  signalled.stdin.once("end", () => setImmediate(() => signalled.front.end("SIGINT")));
  signalled.stdin.end();
  await settled();
  await killed.pass(5);
  await signalled.pass(50);
  const reasons = [killed, signalled].map((rig) => rig.hosts[0]?.control().at(-1)?.params);
  expect(reasons).toEqual([{ reason: "stdin_end" }, { reason: "sigint" }]);
});

it("a front that ends waits neither for a client that reads no more nor, after fifteen seconds, for its host", async () => {
  const rig = await greeted();
  const [host] = rig.hosts;
  await fillOutput(rig);
  expect(host?.isHeld).toBe(true);
  rig.front.end("SIGTERM");
  const before = rig.stdout.writableLength;
  await fillOutput(rig);
  expect([host?.isHeld, rig.stdout.writableLength]).toEqual([false, before]);
  await rig.pass(14_999);
  expect(rig.exits).toEqual([]);
  await rig.pass(15_000);
  expect(rig.exits).toEqual([1]);
});

/** The client reads no more, and the host sends on. */
async function fillOutput(rig: FrontRig): Promise<void> {
  rig.stdout.pause();
  for (let n = 0; n < 20; n++)
    await rig.hosts[0]?.answer({ method: "notifications/message", params: "x".repeat(10_000) });
}

it("the end of a host ends the front where its client is gone", async () => {
  const rig = await greeted();
  rig.isClientAlive = false;
  await rig.hosts[0]?.die();
  expect([rig.exits, rig.hosts.length]).toEqual([[0], 1]);
});

/** Of each error the id and the code. */
const codesIn = (messages: readonly Message[]): string[] =>
  messages.flatMap(({ id, error }) => (error ? `${JSON.stringify(id)} ${(error as { code: number }).code}` : []));

const codes = (rig: FrontRig): string[] => codesIn(rig.heard());

it.each([
  ["text", "not JSON", -32_700],
  ["half of a message", '{"jsonrpc":"2.0","id":5,"method":"pi', -32_700],
  ["a message with other text behind it", '{"jsonrpc":"2.0","id":5,"method":"ping"} and', -32_700],
  ["two messages, one of which is torn", '{"jsonrpc":"2.0","id":5,"method":"ping"}{"jsonrpc":"2.0","id":6', -32_700],
  ["UTF-16", Buffer.from('{"jsonrpc":"2.0"}', "utf16le").toString("latin1"), -32_700],
  ["a batch", '[{"jsonrpc":"2.0","id":5,"method":"ping"}]', -32_600],
  ["an empty batch", "[]", -32_600],
  ["a number", "5", -32_600],
  ["null", "null", -32_600],
])("%s in a line is answered with an error without an id, and what follows is served", async (_, line, code) => {
  const rig = await greeted();
  await rig.say(`${line}\n`, request(7, "ping"));
  expect(codes(rig)).toEqual([`null ${code}`]);
  expect(rig.hosts[0]?.received()).toEqual([initialize, initialized, request(7, "ping")]);
});

it("Content-Length framing is answered once, with what MCP expects", async () => {
  for (const [header, join] of [
    ["Content-Length: 40\r\n\r\n", ""],
    ["content-length:40\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n", "\r\n"],
  ] as const) {
    const rig = aFrontRig();
    await rig.hosts[0]?.greet();
    for (let id = 0; id < 5; id++) await rig.say(`${header}${JSON.stringify(request(id, "ping"))}${join}`);
    expect(codes(rig)).toEqual(["null -32700"]);
    expect(JSON.stringify(rig.heard())).toContain("one JSON-RPC message a line");
  }
});

it("a line over 10 MiB is refused alone: its id gets the limit, other requests their answers, the host stays", async () => {
  const rig = await greeted();
  const [open, after] = [request(4, "tools/list"), request(6, "tools/list")];
  const given = { id: 9, text: "x".repeat(12_000_000) };
  const { jsonrpc, id, ...long } = call("5b", "t", given) as Record<string, unknown>;
  await rig.say(open, call(5, "t", given), { ...long, jsonrpc, id }, [call(8, "t", given)], after);
  expect(codes(rig)).toEqual(["5 -32600", '"5b" -32600', "null -32600"]);
  expect(JSON.stringify(rig.heard())).toContain("10 MiB (10485760 bytes)");
  expect(rig.hosts[0]?.received().slice(2)).toEqual([open, after]);
  await rig.hosts[0]?.answer({ id: 4, result: {} });
  expect([rig.hosts.length, rig.ended, rig.heard().at(-1)?.["id"]]).toEqual([1, [], 4]);
});

/** Offers lines until the front has not taken one of them, for which the whole stream is waited. @returns how many it took */
async function taken(rig: FrontRig, line: (n: number) => string, most: number): Promise<number> {
  for (let n = 0; n < most; n++) {
    if (rig.stdin.isPaused()) return n;
    await rig.say(`${line(n)}\n`);
  }
  return most;
}

const pings = (n: number): string => JSON.stringify(request(n + 1_000, "ping"));

it("a client that does not read is not read: of bad lines, of requests with an answer, of requests without one", async () => {
  const rigs = [await greeted(), await greeted(), await greeted()] as const;
  const [bad, answered, open] = rigs;
  for (const rig of rigs) rig.stdout.pause();
  expect(await taken(bad, () => "bad", 20_000)).toBeLessThan(10_000);
  expect(bad.stdout.writableLength).toBeLessThan(2_000_000);
  expect(await taken(open, pings, 20_000)).toBeLessThan(10_000);
  const afterAnswer = (n: number): string => {
    void answered.hosts[0]?.answer({ id: n + 999, result: { text: "x".repeat(10_000) } });
    return pings(n);
  };
  expect(await taken(answered, afterAnswer, 2_000)).toBeLessThan(500);
  bad.stdout.resume();
  await settled();
  expect([bad.stdin.isPaused(), open.stdin.isPaused()]).toEqual([false, true]);
  for (let id = 1_000; open.stdin.isPaused(); id++) await open.hosts[0]?.answer({ id, result: {} });
  expect(await taken(bad, () => "bad", 10)).toBe(10);
});

it("while the host takes nothing the client is not read; a host that is not read is held back, and not taken for one that hangs", async () => {
  const rig = await greeted();
  const [host] = rig.hosts;
  if (host) host.unsent = 2_000_000;
  expect(await taken(rig, pings, 10)).toBe(1);
  await host?.takeAll();
  expect(await taken(rig, pings, 10)).toBe(10);
  await fillOutput(rig);
  for (let round = 0; round < 6; round++) await rig.pass(2_500);
  expect([host?.isHeld, rig.ended]).toEqual([true, []]);
  rig.stdout.resume();
  await settled();
  for (let round = 0; round < 3; round++) await rig.pass(2_500);
  expect([host?.isHeld, rig.ended]).toEqual([false, [host?.host]]);
});

it("whatever lines come, and from the host one that is no message, all that is written is JSON-RPC, and a request behind them is served", async () => {
  const parts = '{"id":1}{|Content-Length: 5|}{|"|\\|\u{FEFF}|{"method":5,"id":{}}|{"params":null,"method":"x","id":3}';
  const json = fc.jsonValue().map((value) => JSON.stringify(value));
  const odd = fc.oneof(fc.string({ unit: "binary", maxLength: 40 }), json, fc.constantFrom(...parts.split("|")));
  await forAllAsync(60, [fc.array(odd, { maxLength: 8 })], async (lines) => {
    const rig = await greeted();
    await rig.say(`${lines.join("\n")}\n`, request("last", "ping"));
    await rig.hosts[0]?.sendLine("no message of a host");
    expect(rig.hosts[0]?.received().at(-1)).toMatchObject({ id: "last" });
    expect(rig.heard().every(({ jsonrpc }) => jsonrpc === "2.0")).toBe(true);
    expect(rig.exits).toEqual([]);
  });
});

/** Cuts bytes at random places. */
const cuts = fc.array(fc.nat(200), { maxLength: 8 });

function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((at) => at % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((to, index) => bytes.subarray(sorted[index], to));
}

const blank = fc.constantFrom("\0", "\0\0\0", "\u{FEFF}", " ", "\t", "\r", "\0 \u{FEFF}\0");
const between = fc.constantFrom("\n", "\r\n", "\0\n", "\n\r\n\0\0\n", "", " \0\u{FEFF}");

it("messages are found wherever the chunks are cut, with any text in them, without line breaks between them, and with NULs, blanks and byte order marks around them", async () => {
  // JSON has no -0.
  const value = fc.json().map((json): unknown => JSON.parse(json));
  const text = fc.oneof(value, fc.constantFrom("}{", '"}{"id":9}', "\\", "a\nb", "\u2028"));
  const part = fc.tuple(fc.array(blank, { maxLength: 2 }), text, between);
  await forAllAsync(150, [fc.array(part, { maxLength: 4 }), cuts], async (parts, places) => {
    const rig = await greeted();
    const messages = parts.map(([, value], id) => ({ ...request(id, "m"), params: { value } }));
    const lines = parts.map(([before, , after], n) => `${before.join("")}${JSON.stringify(messages[n])}${after}`);
    for (const chunk of cutAt(Buffer.from(`${lines.join("")}\n`), places)) {
      rig.stdin.write(chunk);
      await settled();
    }
    expect([rig.hosts[0]?.received().slice(2), codes(rig)]).toEqual([messages, []]);
  });
});

/** A host's side of a connection, and what the front on the other side reads. */
async function aConnection() {
  const [near, far] = duplexPair();
  const delivered: JSONRPCMessage[] = [];
  const onmessage = (message: JSONRPCMessage): void => void delivered.push(message);
  const transport = Object.assign(new ConnectionTransport(near), { onmessage });
  await transport.start();
  const heard = (): Message[] => (String(far.read() ?? "").match(/.+/g) ?? []).map((line) => JSON.parse(line));
  const say = async (...lines: readonly (string | object)[]): Promise<void> => {
    for (const line of lines) far.write(`${typeof line === "string" ? line : JSON.stringify(line)}\n`);
    await settled();
  };
  return { far, transport, delivered, heard, say };
}

const ping = (id: number): object => request(id, "ping");

it("what is no message is answered with -32600 and its id, where it is a request's, and the next one is served", async () => {
  for (const [line, id] of [
    [{ jsonrpc: "1.0", id: 5, method: "ping" }, 5],
    [{ jsonrpc: "2.0", id: "5", method: "ping", extra: 1 }, "5"],
    [{ jsonrpc: "2.0", id: 1.5, method: "ping" }, 1.5],
    [{ jsonrpc: "2.0", id: null, method: "ping" }, null],
    [{ jsonrpc: "2.0", id: 5 }, 5],
    [{ id: 5, result: {} }, null],
  ] as const) {
    const { delivered, heard, say } = await aConnection();
    await say(line, ping(7));
    expect(heard()).toMatchObject([{ jsonrpc: "2.0", id, error: { code: -32_600 } }]);
    expect(delivered).toEqual([ping(7)]);
  }
});

it("any object is either a message, as the SDK reads it, or answered", async () => {
  const field = fc.oneof(fc.constant("2.0"), fc.constant("ping"), fc.integer(), fc.jsonValue({ maxDepth: 2 }));
  const keys = fc.constantFrom("jsonrpc", "id", "method", "params", "result", "error", "other");
  await forAllAsync(100, [fc.dictionary(keys, field)], async (given) => {
    const { delivered, heard, say } = await aConnection();
    await say(given);
    const parse = (): void => void parseJSONRPCMessage(JSON.parse(JSON.stringify(given)));
    if (delivered.length === 0) expect(parse).toThrow();
    else expect(parse).not.toThrow();
    expect(delivered.length + heard().length).toBe(1);
  });
});

it("a line or an answer over 10 MiB is replaced by an error with its id, and the connection stays", async () => {
  const { delivered, transport, heard, say } = await aConnection();
  const text = "x".repeat(maxLineBytes);
  await say({ jsonrpc: "2.0", method: "m", params: { text }, id: 5 }, ping(7));
  void transport.send({ jsonrpc: "2.0", id: 7, result: { text } });
  await settled();
  expect([codesIn(heard()), delivered]).toEqual([["5 -32600", "7 -32603"], [ping(7)]]);
});

it("a front is read no further while its messages wait for their turn, or its answers to be read", async () => {
  const { far, transport, delivered, say } = await aConnection();
  await say(...Array.from({ length: 5_000 }, (_, id) => ping(id)));
  expect(delivered.length).toBeLessThan(20);
  // Each gets a long answer in its turn, which the front does not read.
  for (let done = 0; done < delivered.length; done++) {
    void transport.send({ jsonrpc: "2.0", id: done, result: { text: "x".repeat(20_000) } });
    transport.taken();
    await settled();
  }
  const held = delivered.length;
  expect([held > 10, held < 100]).toEqual([true, true]);
  // It reads on, and misses nothing.
  let answered = 0;
  far.on("data", (data: Buffer) => (answered += data.toString().split("\n").length - 1));
  for (let done = held; done < 5_000; done++) {
    await settled();
    expect(delivered.length).toBeGreaterThan(done);
    void transport.send({ jsonrpc: "2.0", id: done, result: {} });
    transport.taken();
  }
  await settled();
  expect([answered, delivered.length]).toEqual([5_000, 5_000]);
});
