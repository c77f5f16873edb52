import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "vitest";
import { compiled } from "#harness/machine/programs.ts";

/** One change of the disk, an fsync, or a line that a process printed, in the order in which they happened. */
export type Record =
  /** A file or folder was opened; a file that was not there is made by it. */
  | { readonly kind: "open"; readonly inode: bigint; readonly path: string; readonly isCut: boolean }
  | { readonly kind: "open folder"; readonly inode: bigint; readonly path: string }
  | { readonly kind: "write"; readonly inode: bigint; readonly at: number; readonly data: Buffer }
  | { readonly kind: "truncate"; readonly inode: bigint; readonly length: number }
  /** An fsync of a file or a folder. */
  | { readonly kind: "sync"; readonly inode: bigint }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "link"; readonly from: string; readonly to: string }
  | { readonly kind: "unlink"; readonly path: string }
  | { readonly kind: "folder"; readonly inode: bigint; readonly path: string }
  /** A line that begins with `+`: what a process has acknowledged. */
  | { readonly kind: "said"; readonly text: string };

/** The path of the library that records. Needs Linux and a C compiler: elsewhere the test is skipped with the reason. */
export function recorder(test: TestContext): string {
  if (process.platform !== "linux") test.skip("what a process asks of the disk is recorded on Linux only");
  return compiled(test, join(import.meta.dirname, "record.c"), "-ldl", "-lpthread");
}

/** What a process (and all that it starts) gets into its environment to be recorded. */
export function recorded(library: string, root: string, trace: string): NodeJS.ProcessEnv {
  return { LD_PRELOAD: library, SHIM_RECORD_ROOT: root, SHIM_RECORD_TO: trace, UV_USE_IO_URING: "0" };
}

const HEAD = 25;
const O_TRUNC = 0o1000n;

export function readRecording(trace: string): Record[] {
  const bytes = readFileSync(trace);
  const records: Record[] = [];
  for (let at = 0; at < bytes.length;) {
    const letter = String.fromCharCode(bytes.readUInt8(at));
    const inode = bytes.readBigUInt64LE(at + 1);
    const number = bytes.readBigUInt64LE(at + 9);
    const [first, second] = [bytes.readUInt32LE(at + 17), bytes.readUInt32LE(at + 21)];
    const data = bytes.subarray(at + HEAD, at + HEAD + first);
    const more = bytes.subarray(at + HEAD + first, at + HEAD + first + second).toString();
    const read = readers[letter];
    if (!read) throw new Error(`a record of an unknown kind: ${letter}`);
    records.push(read(inode, number, data, more));
    at += HEAD + first + second;
  }
  return records;
}

type Reader = (inode: bigint, number: bigint, data: Buffer, more: string) => Record;

const readers: Partial<{ [letter: string]: Reader }> = {
  O: (inode, flags, path) => ({ kind: "open", inode, path: path.toString(), isCut: (flags & O_TRUNC) !== 0n }),
  D: (inode, _, path) => ({ kind: "open folder", inode, path: path.toString() }),
  W: (inode, at, data) => ({ kind: "write", inode, at: Number(at), data }),
  T: (inode, length) => ({ kind: "truncate", inode, length: Number(length) }),
  S: (inode) => ({ kind: "sync", inode }),
  R: (_, __, from, to) => ({ kind: "rename", from: from.toString(), to }),
  L: (_, __, from, to) => ({ kind: "link", from: from.toString(), to }),
  U: (_, __, path) => ({ kind: "unlink", path: path.toString() }),
  F: (inode, _, path) => ({ kind: "folder", inode, path: path.toString() }),
  M: (_, __, text) => ({ kind: "said", text: text.toString() }),
};
