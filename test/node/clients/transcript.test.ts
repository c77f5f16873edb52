import { execFileSync } from "node:child_process";
import { appendFileSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { forAll } from "#harness/properties.ts";
import { readAppended, readRows } from "#src/clients/transcript.ts";
import type { TranscriptContent } from "#src/clients/transcript/transcript-draft.ts";
import { openTranscript, type TranscriptFile } from "#src/clients/transcript/transcript-file.ts";
import { rowsIn, RowSplitter, type TranscriptRow } from "#src/clients/transcript/transcript-rows.ts";
import { clientsWithRows, writtenRows } from "#harness/clients/invented-sessions.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { aCompactBoundary, anAssistantLine, aToolResultLine } from "#harness/machine/transcripts.ts";
import { aTranscript, aUserLine, T0 } from "#harness/machine/transcripts.ts";

function aFile(content = ""): string {
  const path = join(temporaryFolder(), "session.jsonl");
  writeFileSync(path, content);
  return path;
}

/** The real file, counting what is read of it. */
function counted(): { open: (path: string) => TranscriptFile; bytes: () => number } {
  let bytes = 0;
  const open = (path: string): TranscriptFile => {
    const file = openTranscript(path);
    const read = (into: Uint8Array, position: number): number => {
      const count = file.read(into, position);
      bytes += count;
      return count;
    };
    return { ...file, read };
  };
  return { open, bytes: () => bytes };
}

const textsOf = (part: { texts: readonly { text: string }[] }): string[] => part.texts.map((one) => one.text);

it("each line is read once, whenever the file is read, also where it ends within a character", () => {
  // A text of blanks is no message.
  const message = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).map((text) => `m${text}m`);
  // A row that is there twice is read once.
  const messages = fc.uniqueArray(message, { minLength: 1, maxLength: 6 });
  forAll(60, [messages, fc.array(fc.nat(2_000), { maxLength: 8 })], (texts, cuts) => {
    const bytes = Buffer.from(aTranscript(...texts.map((text) => aUserLine(text))));
    const path = aFile();
    const seen: string[] = [];
    let offset = 0;
    for (const end of [...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b), bytes.length]) {
      writeFileSync(path, bytes.subarray(0, end));
      const part = readAppended(path, offset);
      seen.push(...textsOf(part));
      offset = part.offset;
      expect(part).toMatchObject({ size: end, skippedBytes: 0 });
    }
    expect([seen, offset]).toEqual([texts, bytes.length]);
  });
});

const maxBytes = 1_048_576;

it("a transcript of 200 MB costs no more than the limit, and says what was passed over", () => {
  const path = aFile();
  truncateSync(path, 200_000_000);
  appendFileSync(path, `\n${aTranscript(aUserLine("the newest"))}`);
  const { open, bytes } = counted();
  const first = readAppended(path, 0, { open, maxBytes });
  expect(textsOf(first)).toEqual(["the newest"]);
  expect(bytes()).toBeLessThanOrEqual(1_048_577);
  expect(first).toMatchObject({ skippedBytes: 200_000_001, offset: first.size, damages: [] });
  appendFileSync(path, aTranscript(aUserLine("newer")));
  const again = counted();
  expect(textsOf(readAppended(path, first.offset, { open: again.open }))).toEqual(["newer"]);
  expect(again.bytes()).toBeLessThan(1_000);
});

it("a line of 10 MB is passed over while it is written and when it is done; what follows is read", () => {
  const long = aUserLine("x".repeat(10_000_000));
  const path = aFile(aTranscript(aUserLine("before")) + long.slice(0, 5_000_000));
  const { open, bytes } = counted();
  const one = readAppended(path, 0, { open, maxBytes });
  expect(textsOf(one)).toEqual([]);
  expect(one).toMatchObject({ offset: one.size, skippedBytes: one.size, damages: [] });
  appendFileSync(path, `${long.slice(5_000_000)}\n`);
  const two = readAppended(path, one.offset, { open, maxBytes });
  expect(two).toMatchObject({ texts: [], offset: two.size, damages: [] });
  appendFileSync(path, aTranscript(aUserLine("after")));
  expect(textsOf(readAppended(path, two.offset, { open }))).toEqual(["after"]);
  expect(bytes()).toBeLessThan(2_200_000);
});

it("before a part is read what it may take back, once, unless the part is read alone", () => {
  const before = aTranscript(...Array.from({ length: 2_000 }, (_, at) => aUserLine(`prompt ${at}`)));
  const path = aFile(before + aTranscript(aUserLine("the newest", { parentUuid: "nowhere" })));
  const { size } = statSync(path);
  const bytesOf = (isAlone: boolean): number => {
    const { open, bytes } = counted();
    expect(textsOf(readAppended(path, before.length, { open, isAlone }))).toEqual(["the newest"]);
    return bytes();
  };
  const own = size - before.length + 1;
  expect(bytesOf(true)).toBe(own);
  expect(bytesOf(false)).toBe(own + (own + 65_536) + size);
});

it("a file that was cut or replaced by a smaller one is read from its last part again", () => {
  const path = aFile(aTranscript(aUserLine("one"), aUserLine("two"), aUserLine("three")));
  const { offset } = readAppended(path, 0);
  writeFileSync(path, aTranscript(aUserLine("new")));
  const part = readAppended(path, offset);
  expect(textsOf(part)).toEqual(["new"]);
  expect(part).toMatchObject({ offset: statSync(path).size, skippedBytes: 0 });
  expect(readAppended(path, part.offset)).toMatchObject({ texts: [], offset: part.offset });
  expect(textsOf(readAppended(path, 0, { minOffset: offset }))).toEqual(["new"]);
});

it("a file that shrinks while it is read gives what is still there", () => {
  const content = Buffer.from(aTranscript(aUserLine("kept"), aUserLine("gone")));
  const kept = content.indexOf(0x0a) + 1;
  const read: TranscriptFile["read"] = (into) => content.copy(into, 0, 0, kept);
  const open = (): TranscriptFile => ({ size: () => content.length, read, close: () => undefined });
  const part = readAppended("any", 0, { open });
  expect([textsOf(part), part.offset]).toEqual([["kept"], kept]);
});

it("a missing file, a folder and a pipe are named and keep the offset", () => {
  const folder = temporaryFolder();
  execFileSync("mkfifo", [join(folder, "pipe")]);
  for (const [path, unreadable] of [
    [join(folder, "none.jsonl"), "ENOENT"],
    [folder, "not_a_file"],
    [join(folder, "pipe"), "not_a_file"],
    ["bad\0path", "ERR_INVALID_ARG_VALUE"],
  ] as const)
    expect(readAppended(path, 7)).toMatchObject({ unreadable, offset: 7, texts: [], size: 0 });
});

it("a line without an id is named by its position, the same every time", () => {
  const path = aFile(aTranscript(aUserLine("a"), aUserLine("b", { uuid: undefined })));
  const place = readFileSync(path).indexOf(0x0a) + 1;
  expect(readAppended(path, 0).texts[1]?.uuid).toBe(`@${place}`);
  expect(readAppended(path, place).texts[0]?.uuid).toBe(`@${place}`);
});

it("a row without a time has that of the row before it, also for what a pause leaves out", () => {
  const path = aFile(aTranscript(aUserLine("said in a pause"), aUserLine("and this", { timestamp: undefined })));
  expect(readAppended(path, 0, { isExcluded: (at) => at === T0 }).texts).toEqual([]);
});

it("a line without an end is dropped beyond 128 MB, and what follows it is read", () => {
  const splitter = new RowSplitter();
  const part = Buffer.alloc(16_777_216, "x");
  const rows: TranscriptRow[] = [];
  for (let n = 0; n < 9; n++) rows.push(...splitter.push(part));
  rows.push(...splitter.push(Buffer.from('\n{"a":1}\n')));
  expect(rows).toMatchObject([{ damage: "too_long", bytes: 9 * part.length }, { row: { a: 1 } }]);
});

it("of a row that is cut no inner object is a row", () => {
  expect([...rowsIn(Buffer.from('{"a":{"b":1}'))]).toMatchObject([{ row: null, damage: "torn", bytes: 12 }]);
});

it("an answer that calls a tool ends no turn, and of what a command printed the last 100,000 characters are read", () => {
  expect(read(anAssistantLine({ stop_reason: "tool_use" })).turnEnd).toBeNull();
  const printed = aToolResultLine("t1", "ok", false, { toolUseResult: { stdout: `${"x".repeat(200_000)}end` } });
  expect(read(printed).toolEnds[0]?.response?.["stdout"]).toBe(`${"x".repeat(99_997)}end`);
});

const read = (...lines: readonly string[]): TranscriptContent => readRows(rowsIn(Buffer.from(lines.join("\n"))));

it("generated lines never throw @night", () => {
  const names = ["type", "message", "content", "usage", "uuid", "isSidechain", "role", "id", "model", "timestamp"];
  const field = fc.constantFrom(...names, "compactMetadata", "subtype");
  const word = fc.constantFrom("user", "assistant", "system", "compact_boundary", "text", "tool_use", "tool_result");
  const value = fc.oneof(word, fc.jsonValue({ maxDepth: 1 }), fc.double());
  const nested = fc.oneof(value, fc.array(fc.dictionary(field, value)), fc.dictionary(field, value));
  const row = fc.dictionary(field, fc.oneof(nested, fc.dictionary(field, nested)), { minKeys: 1 });
  forAll(200, [fc.array(row, { maxLength: 5 })], (rows) => {
    expect(read(...rows.map((one) => JSON.stringify(one))).damages).toEqual([]);
  });
});

it("a compaction ends what was known of the context, and its summary is no message of the user", () => {
  const summary = aUserLine("We were fixing the parser.", { isCompactSummary: true });
  const compacted = [anAssistantLine({ id: "msg_before" }), aCompactBoundary(180_000), summary];
  const part = read(...compacted);
  expect([part.compactBoundary, part.contextUsage]).toEqual([{ at: T0 }, null]);
  expect(textsOf(part)).toEqual(["Done."]);
  expect(read(...compacted, anAssistantLine({ id: "msg_after" })).contextUsage?.messageId).toBe("msg_after");
  expect(read(summary)).toMatchObject({ texts: [], compactBoundary: null });
});

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
  forAll(2_000, [files], (bytes) => {
    expect(uncovered(bytes, [...rowsIn(bytes)])).toMatch(/^(?:[\s]|\xEF\xBB\xBF)*$/);
  });
});

it("rows do not depend on the parts in which the bytes come", () => {
  forAll(1_000, [files, fc.array(fc.nat(400), { maxLength: 8 })], (bytes, cuts) => {
    const splitter = new RowSplitter();
    const rows: TranscriptRow[] = [];
    let at = 0;
    for (const length of cuts) {
      rows.push(...splitter.push(bytes.subarray(at, at + length)));
      at = Math.min(bytes.length, at + length);
    }
    rows.push(...splitter.push(bytes.subarray(at)), ...splitter.end());
    expect(rows).toEqual([...rowsIn(bytes)]);
  });
});
