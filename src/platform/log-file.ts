import { appendFileSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { stackOf } from "../shared/error.ts";
import { createPrivateFolder } from "./private-files.ts";

/** One line for the log file (never stdout); `fields` hold no user text. */
export type Log = (level: "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;

/** Does work whose failure concerns no caller: it is logged, and never thrown. */
export async function attempt(log: Log, what: string, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    log("error", what, { error: stackOf(error) });
  }
}

/** A larger log replaces `shim.log.1`. */
const maxBytes = 5_000_000;

/**
 * Writes JSON lines (0600) without loading a logger: pino took as long as the start of Node. Never
 * throws: failures go to stderr.
 */
export function fileLog(path: string, now: () => number): Log {
  return (level, message, fields = {}) => {
    const line = `${JSON.stringify({ level, time: now(), pid: process.pid, msg: message, ...fields })}\n`;
    try {
      createPrivateFolder(dirname(path));
      if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > maxBytes) renameSync(path, `${path}.1`);
      appendFileSync(path, line, { mode: 0o600 });
    } catch {
      writeError(line);
    }
  };
}

/** `process.stderr` may be a file on the same disk: its error comes later, and ends the process. */
function writeError(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nothing is left to say it by.
  }
}
