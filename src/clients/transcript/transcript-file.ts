import { closeSync, constants, fstatSync, openSync, readSync, statSync, createReadStream, existsSync } from "node:fs";
import { basename } from "node:path";
import { pipeline } from "node:stream";
import * as zlib from "node:zlib";
import type { HookClient } from "../../contract/clients.ts";
import { codeOf } from "../../shared/error.ts";
import { textAt, type JsonObject } from "../../shared/json-fields.ts";
import { RowSplitter, type TranscriptRow } from "./transcript-rows.ts";

export interface TranscriptFile {
  size(): number;
  read(into: Uint8Array, position: number): number;
  close(): void;
}

/** Codex compresses a session that it has not written for seven days. */
export const compressedEnd = ".zst";

/** Refuses anything that is no regular file. */
export function openTranscript(path: string): TranscriptFile {
  // Without O_NONBLOCK a pipe of that name would block the hook. Windows has no such flag.
  const fd = openSync(path, constants.O_RDONLY | (process.platform === "win32" ? 0 : constants.O_NONBLOCK));
  const file: TranscriptFile = {
    size: () => fstatSync(fd).size,
    read(into, position) {
      let bytesRead = 0;
      while (bytesRead < into.length) {
        const count = readSync(fd, into, bytesRead, into.length - bytesRead, position + bytesRead);
        if (count === 0) break;
        bytesRead += count;
      }
      return bytesRead;
    },
    close: () => closeSync(fd),
  };
  if (fstatSync(fd).isFile()) return file;
  file.close();
  throw Object.assign(new Error(`${path} is not a file`), { code: "not_a_file" });
}

/** Returns 0 where there is no file, which `readAppended` then reports. */
export function unreadBytes(path: string, offset: number): number {
  try {
    return Math.max(0, statSync(path).size - offset);
  } catch {
    return 0;
  }
}

const zstandard = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** `zlib.constants.ZSTD_e_flush`: no error at the end of a cut file. A literal loads no zlib. */
const flush = 1;
/** Limit for a damaged compressed file, which is unpacked in one piece. */
const maxUnpackedBytes = 512 * 1_048_576;
/** Larger parts are no faster, and leave more behind in memory. */
const chunkBytes = 131_072;

/** Bytes of a transcript from its start, unpacked if they are compressed, as UTF-8 if UTF-16. */
export class TranscriptBytes {
  /** The file that is read. */
  readonly path: string;
  /** The file as it stands, in bytes. */
  readonly size: number;
  readonly #head: Buffer;
  #isCut = false;
  #bytesRead = 0;

  private constructor(path: string, size: number, head: Buffer) {
    this.path = path;
    this.size = size;
    this.#head = head;
  }

  /** @throws a system error, or one with `code` "not_a_file" or "no_zstd" */
  static open(given: string): TranscriptBytes {
    const plain = given.endsWith(compressedEnd) ? given.slice(0, -compressedEnd.length) : given;
    // Where both are there the client has not removed the plain one yet, and may go on with it.
    const path = existsSync(plain) ? plain : given;
    const { bytes, size } = readBytes(path, zstandard.length);
    const isPacked = bytes.equals(zstandard);
    if (isPacked && !("createZstdDecompress" in process.getBuiltinModule("node:zlib")))
      throw Object.assign(new Error(noZstdText), { code: "no_zstd" });
    return new TranscriptBytes(path, size, bytes);
  }

  get isCompressed(): boolean {
    return this.#head.equals(zstandard);
  }

  /** Whether it begins with the byte order mark of UTF-8. */
  get hasMark(): boolean {
    return this.#head.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
  }

  /** A compressed file is cut, or damaged: what follows its last whole block is missing. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Bytes given so far, unpacked. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Opens the file again. @throws a system error */
  async *chunks(): AsyncGenerator<Buffer, void> {
    this.#bytesRead = 0;
    for await (const bytes of this.#parts()) {
      this.#bytesRead += bytes.length;
      yield bytes;
    }
  }

  /** All of it. @throws a system error */
  async whole(): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const bytes of this.chunks()) parts.push(bytes);
    return Buffer.concat(parts);
  }

  async *#parts(): AsyncGenerator<Buffer, void> {
    if (this.isCompressed) yield* this.#unpacked();
    else {
      const encoding = utf16Of(this.#head);
      const decoder = encoding === null ? null : new TextDecoder(encoding);
      for await (const chunk of createReadStream(this.path, { highWaterMark: chunkBytes }))
        yield decoder ? Buffer.from(decoder.decode(chunk as Buffer, { stream: true })) : (chunk as Buffer);
    }
  }

  /** Rows, those of a part of the file at a time, made as they are taken. @throws a system error */
  async *rows(): AsyncGenerator<Iterable<TranscriptRow>, void> {
    const splitter = new RowSplitter();
    for await (const bytes of this.chunks()) yield splitter.push(bytes);
    yield splitter.end();
  }

  /** Frame by frame: zlib ends with the first one, and says nothing of what follows. */
  async *#unpacked(): AsyncGenerator<Buffer, void> {
    for (let frame = 0; frame < this.size;) {
      const unpacker = zlib.createZstdDecompress();
      let given = 0;
      const file = createReadStream(this.path, { start: frame, highWaterMark: chunkBytes });
      try {
        // A failure of the file is one of the stream that is read.
        for await (const chunk of pipeline(file, unpacker, () => undefined)) {
          given += (chunk as Buffer).length;
          yield chunk as Buffer;
        }
      } catch (error) {
        const isOfSystem = typeof (error as NodeJS.ErrnoException).syscall === "string";
        if (isOfSystem || codeOf(error) === null) throw error;
        this.#isCut = true;
        return yield this.#unpackedWhole(frame).subarray(given);
      }
      frame += unpacker.bytesWritten;
    }
  }

  /** A stream drops at its error what it has unpacked before. */
  #unpackedWhole(frame: number): Buffer {
    const { bytes } = readBytes(this.path);
    try {
      const options = { maxOutputLength: maxUnpackedBytes, finishFlush: flush };
      return zlib.zstdDecompressSync(bytes.subarray(frame), options);
    } catch (error) {
      if (codeOf(error) === null) throw error;
      return Buffer.alloc(0);
    }
  }
}

/** By the mark alone: zeros beside a brace are those of a crash here. */
function utf16Of(head: Buffer): "utf-16le" | "utf-16be" | null {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  return head[0] === 0xfe && head[1] === 0xff ? "utf-16be" : null;
}

const noZstdText = "it is compressed (zstd), which Node reads from version 22.15 on: run SHIM with a newer Node";

/** @returns why a transcript cannot be read. Throws what is no error of a file. */
export function problemOf(error: unknown): string {
  const code = codeOf(error);
  if (code === null) throw error;
  return code === "no_zstd" ? noZstdText : `it cannot be read (${code})`;
}

/** @param most bytes to read; default: all. @returns also the size of the file. Throws as `open` */
export function readBytes(path: string, most = Infinity): { readonly bytes: Buffer; readonly size: number } {
  const file = openTranscript(path);
  try {
    const size = file.size();
    const bytes = Buffer.alloc(Math.min(most, size));
    return { bytes: bytes.subarray(0, file.read(bytes, 0)), size };
  } finally {
    file.close();
  }
}

export interface SessionHead {
  readonly session: string;
  readonly cwd: string | null;
  /** SHA-256 of the folder, or a name of the client's own for it, where `cwd` is not known. */
  readonly folderHash?: string | null;
  /** Session whose subagent it is; null: none. */
  readonly parent: string | null;
}

export interface TranscriptHead extends SessionHead {
  readonly client: HookClient;
}

export interface TranscriptDocument {
  readonly head: TranscriptHead;
  readonly messages: readonly unknown[];
}

export function headOf(holder: JsonObject | null, idKey: string): SessionHead | null {
  const session = textAt(holder, idKey, 200);
  return session === null ? null : { session, cwd: textAt(holder, "cwd", 4_096), parent: null };
}

const uuid = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/i;

/** @param path of a file, or of a folder, that is named by its session */
export function headNamedBy(path: string, cwd: string | null): SessionHead {
  const name = basename(path).replace(/\.jsonl?(?:\.zst)?$/, "");
  return { session: idIn(path) ?? name, cwd, parent: null };
}

export function idIn(path: string): string | null {
  return uuid.exec(basename(path))?.[0] ?? null;
}
