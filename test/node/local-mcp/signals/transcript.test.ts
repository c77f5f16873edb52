import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { openTranscript, readAppended, type TranscriptFile } from "#src/local-mcp/signals/transcript.ts";
import { anAssistantLine, aTranscript, aUserLine, T0 } from "#harness/machine/transcripts.ts";

function aFile(content: string | Uint8Array = ""): string {
  const path = join(mkdtempSync(join(tmpdir(), "shim-transcript-")), "session.jsonl");
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

function failing(): TranscriptFile {
  throw new TypeError("a bug");
}

it("[SI2] reads what was appended since last time, and nothing twice", () => {
  const path = aFile(aTranscript(aUserLine("first")));
  const one = readAppended(path, 0);
  expect(textsOf(one)).toEqual(["first"]);
  expect(one).toMatchObject({ offset: statSync(path).size, size: statSync(path).size, skippedBytes: 0 });
  expect(one.texts[0]).toMatchObject({ role: "user", at: T0 });
  expect(textsOf(readAppended(path, one.offset))).toEqual([]);
  appendFileSync(path, aTranscript(anAssistantLine({ content: [{ type: "text", text: "second" }] })));
  const two = readAppended(path, one.offset);
  expect(two.texts).toMatchObject([{ role: "assistant", text: "second" }]);
});

it("[SI2] leaves a line that is not complete for the next time", () => {
  const whole = aUserLine("whole");
  const path = aFile(`${whole}\n${aUserLine("half").slice(0, 40)}`);
  const one = readAppended(path, 0);
  expect(textsOf(one)).toEqual(["whole"]);
  expect(one.offset).toBe(Buffer.byteLength(whole) + 1);
  writeFileSync(path, aTranscript(whole, aUserLine("half")));
  expect(textsOf(readAppended(path, one.offset))).toEqual(["half"]);
});

it("[SI2] reads every line once whatever the moments of reading, the cuts in characters included", () => {
  const messages = fc.array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(messages, fc.array(fc.nat(2_000), { maxLength: 8 }), (texts, cuts) => {
      const bytes = Buffer.from(aTranscript(...texts.map((text) => aUserLine(text))));
      const path = aFile();
      const seen: string[] = [];
      let offset = 0;
      for (const end of [...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b), bytes.length]) {
        writeFileSync(path, bytes.subarray(0, end));
        const part = readAppended(path, offset);
        seen.push(...textsOf(part));
        offset = part.offset;
      }
      expect(seen).toEqual(texts);
    }),
    { numRuns: 60 },
  );
});

it("[SI1] a transcript of 200 MB costs no more than the limit, and says what was passed over", () => {
  const path = aFile();
  truncateSync(path, 200_000_000);
  const tail = `\n${aTranscript(aUserLine("the newest"))}`;
  appendFileSync(path, tail);
  const { open, bytes } = counted();
  const first = readAppended(path, 0, { open });
  expect(textsOf(first)).toEqual(["the newest"]);
  expect(bytes()).toBeLessThanOrEqual(1_048_577);
  expect(first.skippedBytes).toBe(200_000_001);
  expect(first.offset).toBe(first.size);
  appendFileSync(path, aTranscript(aUserLine("newer")));
  const again = counted();
  expect(textsOf(readAppended(path, first.offset, { open: again.open }))).toEqual(["newer"]);
  expect(again.bytes()).toBeLessThan(1_000);
});

it("[SI1] where more was appended than the limit, the last part is read from a line's start", () => {
  const lines = Array.from({ length: 100 }, (_, number) => aUserLine(`message ${number}`));
  const path = aFile(aTranscript(...lines));
  const length = Buffer.byteLength(lines[0] ?? "") + 1;
  const part = readAppended(path, length, { maxBytes: 1_000 });
  expect(textsOf(part).at(-1)).toBe("message 99");
  expect(part.invalidLines).toBe(0);
  expect(part.skippedBytes + length).toBe(Buffer.byteLength(aTranscript(...lines.slice(0, -part.texts.length))));
});

it("[SI1] a limit that ends exactly at a line's start loses no line", () => {
  const last = aTranscript(aUserLine("last"));
  const path = aFile(aTranscript(aUserLine("before")) + last);
  const part = readAppended(path, 0, { maxBytes: Buffer.byteLength(last) });
  expect(textsOf(part)).toEqual(["last"]);
});

it("[SI1] a line of 10 MB is passed over while it is written and when it is done; what follows is read", () => {
  const long = aUserLine("x".repeat(10_000_000));
  const path = aFile(aTranscript(aUserLine("before")) + long.slice(0, 5_000_000));
  const { open, bytes } = counted();
  const one = readAppended(path, 0, { open });
  expect(textsOf(one)).toEqual([]);
  expect(one).toMatchObject({ offset: one.size, skippedBytes: one.size, invalidLines: 0 });
  appendFileSync(path, `${long.slice(5_000_000)}\n`);
  const two = readAppended(path, one.offset, { open });
  expect(two).toMatchObject({ texts: [], offset: two.size, invalidLines: 0 });
  appendFileSync(path, aTranscript(aUserLine("after")));
  expect(textsOf(readAppended(path, two.offset, { open }))).toEqual(["after"]);
  expect(bytes()).toBeLessThan(2_200_000);
});

it("[SI2] the rest of a line whose start was passed over is dropped and counted", () => {
  const line = aTranscript(aUserLine("cut"));
  const path = aFile(line + aTranscript(aUserLine("whole")));
  const part = readAppended(path, 30);
  expect(textsOf(part)).toEqual(["whole"]);
  expect(part.skippedBytes).toBe(Buffer.byteLength(line) - 30);
});

it("[SI3] a file that was cut or replaced by a smaller one is read from its last part again", () => {
  const path = aFile(aTranscript(aUserLine("one"), aUserLine("two"), aUserLine("three")));
  const { offset } = readAppended(path, 0);
  writeFileSync(path, aTranscript(aUserLine("new")));
  const part = readAppended(path, offset);
  expect(textsOf(part)).toEqual(["new"]);
  expect(part).toMatchObject({ isRestarted: true, offset: statSync(path).size, skippedBytes: 0 });
  expect(readAppended(path, part.offset).isRestarted).toBe(false);
});

it("[SI3] a file that shrinks while it is read gives what is still there", () => {
  const content = Buffer.from(aTranscript(aUserLine("kept"), aUserLine("gone")));
  const kept = content.indexOf(0x0a) + 1;
  const open = (): TranscriptFile => ({
    size: () => content.length,
    read: (into) => content.copy(into, 0, 0, kept),
    close: () => undefined,
  });
  const part = readAppended("any", 0, { open });
  expect(textsOf(part)).toEqual(["kept"]);
  expect(part.offset).toBe(kept);
});

it("[SI4] a missing file, a folder and a pipe are named and keep the offset", () => {
  const folder = mkdtempSync(join(tmpdir(), "shim-transcript-"));
  expect(readAppended(join(folder, "none.jsonl"), 7)).toMatchObject({
    unreadable: "ENOENT",
    offset: 7,
    texts: [],
    size: 0,
  });
  expect(readAppended(folder, 0)).toMatchObject({ unreadable: "not_a_file" });
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  expect(readAppended(pipe, 0)).toMatchObject({ unreadable: "not_a_file" });
  expect(readAppended("bad\0path", 0)).toMatchObject({ unreadable: "ERR_INVALID_ARG_VALUE" });
});

it("[SI4] an error that is not the system's is not hidden", () => {
  expect(() => readAppended("any", 0, { open: failing })).toThrow("a bug");
});

it("[SI4] lines that are no JSON object are counted; bad UTF-8 spoils only its own character", () => {
  const [head = "", tail = ""] = aUserLine("a#b").split("#");
  const broken = Buffer.concat([Buffer.from(head), Buffer.from([0xff, 0xc3]), Buffer.from(`${tail}\n`)]);
  const rest = aTranscript(
    "{not json",
    "[]",
    "42",
    "",
    '{"type":"user"}',
    '{"type":"user","message":null}',
    aUserLine("ok"),
  );
  const part = readAppended(aFile(Buffer.concat([broken, Buffer.from(rest)])), 0);
  expect(textsOf(part)).toEqual(["a\ufffd\ufffdb", "ok"]);
  expect(part.invalidLines).toBe(3);
});

it("[SI4] a line without an id is named by its place, the same every time", () => {
  const path = aFile(aTranscript(aUserLine("a"), aUserLine("b", { uuid: undefined })));
  const place = readFileSync(path).indexOf(0x0a) + 1;
  expect(readAppended(path, 0).texts[1]?.uuid).toBe(`@${place}`);
  expect(readAppended(path, place).texts[0]?.uuid).toBe(`@${place}`);
});
