import { existsSync } from "node:fs";
import * as zlib from "node:zlib";
import { decodeText } from "../../platform/text-encoding.ts";
import { codeOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { compressedEnd, openTranscript } from "./transcript-file.ts";

interface WholeFile {
  /** Plain UTF-8, unless damaged. */
  readonly bytes: Buffer;
  /** The file as it stands, in bytes. */
  readonly size: number;
  /** The compressed file is cut: what follows its last whole block is missing. */
  readonly isCut: boolean;
}

const zstandard = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** `zlib.constants.ZSTD_e_flush`: no error at the end of a cut file. A literal loads no zlib. */
const flush = 1;
/** Unpacked; beyond it V8 has no string for a document either. */
const maxUnpackedBytes = 512 * 1_048_576;

/** All of a file, unpacked where it is compressed and decoded where it is UTF-16. */
export function readWholeFile(path: string): Result<WholeFile, string> {
  const plain = path.endsWith(compressedEnd) ? path.slice(0, -compressedEnd.length) : path;
  // Where both are there the client has not removed the plain one yet, and may go on with it.
  const read = readBytes(existsSync(plain) ? plain : path);
  if (!read.ok) return read;
  const bytes = read.value;
  const whole = { size: bytes.length, isCut: false };
  if (!bytes.subarray(0, zstandard.length).equals(zstandard)) return ok({ ...whole, bytes: toUtf8(bytes) });
  const unpacked = unpack(bytes);
  return unpacked.ok ? ok({ ...whole, ...unpacked.value }) : unpacked;
}

/** @param most bytes to read; default: all */
export function readBytes(path: string, most = Infinity): Result<Buffer, string> {
  let file = null;
  try {
    file = openTranscript(path);
    const bytes = Buffer.alloc(Math.min(most, file.size()));
    return ok(bytes.subarray(0, file.read(bytes, 0)));
  } catch (error) {
    const code = codeOf(error);
    if (code === null) throw error;
    return err(`it cannot be read (${code})`);
  } finally {
    file?.close();
  }
}

function unpack(bytes: Buffer): Result<Pick<WholeFile, "bytes" | "isCut">, string> {
  if (!("zstdDecompressSync" in process.getBuiltinModule("node:zlib")))
    return err("it is compressed (zstd), which Node reads from version 22.15 on: run SHIM with a newer Node");
  try {
    return ok({ bytes: zlib.zstdDecompressSync(bytes, { maxOutputLength: maxUnpackedBytes }), isCut: false });
  } catch (error) {
    if (codeOf(error) === "ERR_BUFFER_TOO_LARGE")
      return err(`it is larger than ${maxUnpackedBytes / 1_048_576} MiB when it is unpacked`);
  }
  try {
    const options = { maxOutputLength: maxUnpackedBytes, finishFlush: flush };
    return ok({ bytes: zlib.zstdDecompressSync(bytes, options), isCut: true });
  } catch (error) {
    return err(`it is compressed (zstd) and damaged (${codeOf(error) ?? "unknown error"})`);
  }
}

/** By the mark alone: zeros beside a brace are those of a crash here. */
function toUtf8(bytes: Buffer): Buffer {
  const isUtf16 = /^(?:fffe|feff)$/.test(bytes.subarray(0, 2).toString("hex"));
  return isUtf16 ? Buffer.from(decodeText(bytes)) : bytes;
}
