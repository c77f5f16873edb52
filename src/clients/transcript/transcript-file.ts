import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";

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
