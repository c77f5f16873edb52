import { PassThrough } from "node:stream";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { eachLine, maxLineBytes } from "#src/local-mcp/front/lines.ts";
import { RequestScan } from "#src/local-mcp/front/request-scan.ts";
import { settled } from "#harness/machine/front-rig.ts";

/** @returns lines, and for each that is too long the id of its request */
async function linesOf(chunks: readonly Uint8Array[]): Promise<unknown[]> {
  const stream = new PassThrough();
  const found: unknown[] = [];
  eachLine(stream, {
    onLine: (line) => void found.push(line),
    onLongLine: ({ id, isRequest }) => void found.push({ tooLong: isRequest ? id : null }),
  });
  for (const chunk of chunks) {
    stream.write(chunk);
    await settled();
  }
  return found;
}

/** Cuts bytes at random places. */
const cuts = fc.array(fc.nat(200), { maxLength: 8 });

function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map((at) => at % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((to, index) => bytes.subarray(sorted[index], to));
}

const blank = fc.constantFrom("\0", "\0\0\0", "\u{FEFF}", " ", "\t", "\r", "\0 \u{FEFF}\0");

it("lines are found wherever the chunks are cut, without NULs, blanks and byte order marks around them", async () => {
  const line = fc.tuple(fc.array(blank, { maxLength: 2 }), fc.jsonValue(), fc.constantFrom("", "\r", "\0", " \0\r"));
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 4 }), cuts, async (lines, places) => {
      const bytes = Buffer.from(
        lines.map(([before, value, after]) => `${before.join("")}${JSON.stringify(value)}${after}\n`).join(""),
      );
      expect(await linesOf(cutAt(bytes, places))).toEqual(lines.map(([, value]) => JSON.stringify(value)));
    }),
    { numRuns: 300 },
  );
});

it("whatever bytes come, each line that is not blank comes once, and no other", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), cuts, async (given, places) => {
      const bytes = Buffer.concat([given, Buffer.from("\n")]);
      const whole = await linesOf([bytes]);
      expect(await linesOf(cutAt(bytes, places))).toEqual(whole);
      expect(whole.length).toBeLessThanOrEqual(bytes.filter((byte) => byte === 0x0a).length);
    }),
    { numRuns: 300 },
  );
});

it("the id of a request is found before and behind parameters of any kind, however its bytes are cut", () => {
  const id = fc.oneof(fc.integer(), fc.string({ unit: "binary", maxLength: 30 }));
  const message = fc.record({
    id,
    method: fc.string(),
    params: fc.dictionary(fc.constantFrom("id", "method", 'a"', "\\"), fc.jsonValue({ maxDepth: 2 })),
  });
  const order = fc.shuffledSubarray(["id", "method", "params"] as const, { minLength: 3 });
  fc.assert(
    fc.property(message, order, cuts, (given, keys, places) => {
      const text = JSON.stringify(Object.fromEntries(keys.map((key) => [key, given[key]])));
      const scan = new RequestScan();
      for (const part of cutAt(Buffer.from(text), places)) scan.push(part);
      expect([scan.isRequest, scan.id]).toEqual([true, given.id]);
    }),
    { numRuns: 200 },
  );
});

it("a response, an id within the parameters and bytes that are no JSON give no id of a request", () => {
  for (const text of [
    '{"jsonrpc":"2.0","id":5,"result":{"method":"x"}}',
    '{"method":"x","params":{"id":5}}',
    '[{"id":5,"method":"x"}]',
    '{"id":{"id":5},"method":"x"}',
    `{"id":"${"5".repeat(2_000)}","method":"x"}`,
  ]) {
    const scan = new RequestScan();
    scan.push(Buffer.from(text));
    expect(scan.isRequest, text).toBe(false);
  }
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const scan = new RequestScan();
      scan.push(Buffer.from(bytes));
      expect(scan.isRequest).toBe(false);
    }),
  );
});

it("a line over the limit is reported once, with its id as soon as that is known, and the lines around it come", async () => {
  const long = "x".repeat(maxLineBytes);
  const [head, tail] = [`{"id":5,"method":"m","params":"${long}`, `{"method":"m","params":"${long}","id":"6"}\n`];
  expect(await linesOf([Buffer.from(`1\n${head}`)])).toEqual(["1", { tooLong: 5 }]);
  const chunks = ["1\n", head, `${long}"}\n2\n`, tail, "3\n", `${long}x\n`, "4\n"];
  const found = await linesOf(chunks.map((chunk) => Buffer.from(chunk)));
  expect(found).toEqual(["1", { tooLong: 5 }, "2", { tooLong: "6" }, "3", { tooLong: null }, "4"]);
  expect(await linesOf([Buffer.from(`${long}\n`)])).toEqual([long]);
});

it("a stream that is paused gives no further line, of however many that came together", async () => {
  const stream = new PassThrough();
  const found: string[] = [];
  eachLine(stream, {
    onLine: (line) => {
      found.push(line);
      stream.pause();
    },
    onLongLine: () => undefined,
  });
  stream.write("1\n2\n3\n4");
  await settled();
  expect(found).toEqual(["1"]);
  stream.resume();
  await settled();
  expect(found).toEqual(["1", "2"]);
  for (const more of ["", "5\n"]) {
    stream.write(more);
    stream.resume();
    await settled();
  }
  stream.resume();
  await settled();
  expect(found).toEqual(["1", "2", "3", "45"]);
});
