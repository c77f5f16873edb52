import { duplexPair, type Duplex } from "node:stream";
import { parseJSONRPCMessage, type JSONRPCMessage } from "@modelcontextprotocol/server";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { maxLineBytes } from "#src/local-mcp/front/lines.ts";
import { ConnectionTransport } from "#src/local-mcp/host/connection-transport.ts";
import { settled } from "#harness/machine/host-rig.ts";

type Message = Record<string, unknown>;

/** A host's side of a connection, and what the front on the other side reads. */
async function aConnection() {
  const [near, far] = duplexPair();
  const delivered: JSONRPCMessage[] = [];
  const onmessage = (message: JSONRPCMessage): void => void delivered.push(message);
  const transport = Object.assign(new ConnectionTransport(near), { onmessage });
  await transport.start();
  const heard = (): Message[] => linesIn(far).map((line) => JSON.parse(line) as Message);
  const say = async (...lines: readonly (string | object)[]): Promise<void> => {
    for (const line of lines) far.write(`${typeof line === "string" ? line : JSON.stringify(line)}\n`);
    await settled();
  };
  return { far, transport, delivered, heard, say };
}

function linesIn(stream: Duplex): string[] {
  return String(stream.read() ?? "")
    .split("\n")
    .filter(Boolean);
}

const ping = (id: number): object => ({ jsonrpc: "2.0", id, method: "ping" });

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
  await fc.assert(
    fc.asyncProperty(fc.dictionary(keys, field), async (given) => {
      const { delivered, heard, say } = await aConnection();
      await say(given);
      const parse = (): void => void parseJSONRPCMessage(JSON.parse(JSON.stringify(given)));
      if (delivered.length === 0) expect(parse).toThrow();
      else expect(parse).not.toThrow();
      expect(delivered.length + heard().length).toBe(1);
    }),
    { numRuns: 100 },
  );
});

it("a line or an answer over 10 MiB is replaced by an error with its id, and the connection stays", async () => {
  const { delivered, transport, heard, say } = await aConnection();
  const text = "x".repeat(maxLineBytes);
  await say({ jsonrpc: "2.0", method: "m", params: { text }, id: 5 }, ping(7));
  void transport.send({ jsonrpc: "2.0", id: 7, result: { text } });
  await settled();
  const errors = heard().map(({ id, error }) => `${String(id)} ${(error as { code: number }).code}`);
  expect([errors, delivered]).toEqual([["5 -32600", "7 -32603"], [ping(7)]]);
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
