import * as fc from "fast-check";
import { expect, it } from "vitest";
import { clientsWithRows, writtenRows } from "#harness/clients/written-sessions.ts";
import { RowSplitter, rowsIn, type TranscriptRow } from "#src/clients/transcript/transcript-rows.ts";

const written = clientsWithRows.map((client) =>
  writtenRows(client, [
    { prompt: "Paint the boat 𝔻 blau — schön.", answer: "Done." },
    { prompt: "Now the oars.", answer: "They are painted." },
  ]),
);

const parts = fc.oneof(
  fc.constantFrom(...written.flat()).map((row) => Buffer.from(row)),
  fc.constantFrom(...written.flat()).chain((row) => fc.nat(row.length).map((end) => Buffer.from(row).subarray(0, end))),
  fc
    .constantFrom("\n", "\r\n", "  ", "\n\n", "\u{FEFF}", "\0\0\0", "123", "oops", '{"', "}", '"')
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
);
const files = fc.array(parts, { maxLength: 30 }).map((all) => Buffer.concat(all));

/** Bytes that are in no row and no damage. */
function uncovered(bytes: Buffer, rows: readonly TranscriptRow[]): string {
  let [at, left] = [0, Buffer.alloc(0)];
  for (const { position, bytes: length } of rows) {
    expect(position).toBeGreaterThanOrEqual(at);
    left = Buffer.concat([left, bytes.subarray(at, position)]);
    at = position + length;
  }
  expect(at).toBeLessThanOrEqual(bytes.length);
  return Buffer.concat([left, bytes.subarray(at)]).toString("latin1");
}

it("each byte of a file is in one row, in one damage, or is a blank, whatever stands in it", () => {
  fc.assert(
    fc.property(files, (bytes) => {
      expect(uncovered(bytes, [...rowsIn(bytes)])).toMatch(/^(?:[\s]|\xEF\xBB\xBF)*$/);
    }),
    { numRuns: 2_000 },
  );
});

it("rows do not depend on the parts in which the bytes come", () => {
  fc.assert(
    fc.property(files, fc.array(fc.nat(400), { maxLength: 8 }), (bytes, cuts) => {
      const splitter = new RowSplitter();
      const rows: TranscriptRow[] = [];
      let at = 0;
      for (const length of cuts) {
        rows.push(...splitter.push(bytes.subarray(at, at + length)));
        at = Math.min(bytes.length, at + length);
      }
      rows.push(...splitter.push(bytes.subarray(at)), ...splitter.end());
      expect(rows).toEqual([...rowsIn(bytes)]);
    }),
    { numRuns: 1_000 },
  );
});

const row = '{"type":"user","sessionId":"s","uuid":"a"}';

it.each([
  ["a row that is cut", `${row.slice(0, 20)}\n${row}`, ["torn", null]],
  ["rows without a break", `${row}${row}`, [null, null]],
  ["zeros for a row", `${row}\n${"\0".repeat(40)}\n`, [null, "zeros"]],
  ["zeros before a row", `\0\0${row}`, ["zeros", null]],
  ["a byte order mark", `\u{FEFF}${row}`, [null]],
  ["words of a program", `Killed\n${row}`, ["foreign", null]],
] as const)("%s is named by its kind", (_, text, kinds) => {
  expect([...rowsIn(Buffer.from(text))].map(({ damage }) => damage)).toEqual(kinds);
});

it("bytes that are no UTF-8 are a row that was not read as it was written", () => {
  const bytes = Buffer.from(row);
  bytes[bytes.indexOf("user")] = 0xff;
  expect([...rowsIn(bytes)]).toMatchObject([{ damage: "not_utf8", position: 0, bytes: row.length }]);
});
