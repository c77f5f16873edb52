import { inputMs } from "../../contract/hook-limits.ts";
import { setTimer, sinceStartMs } from "../../platform/timers.ts";
import { read, write } from "node:fs";
import { codeOf } from "../../shared/error.ts";
import { JsonObjectReader, maxInputBytes } from "../../platform/json-object-reader.ts";
import { decodeText, isUtf16 } from "../../platform/text-encoding.ts";

interface Limits {
  /** For the first part of the input. */
  readonly firstMs: number;
  readonly totalMs: number;
}

/** From the start of the process. Half a second is left to store what has come. */
export const ownLimits: Limits = { firstMs: inputMs, totalMs: inputMs };
/**
 * Another client that sends nothing does not wait for an answer that is empty. What it has
 * begun to send is read to its end: some clients fail where a hook ends before it has read.
 */
export const foreignLimits: Limits = { ...ownLimits, firstMs: 100 };
/** Left to a process whose start has taken most of the time. */
const minMs = 500;
const partBytes = 65_536;
const busyHandlePollMs = 10;
/** For a part that is on its way when the object is whole, or the process is to end. */
const quietMs = 10;

interface HookStdin {
  readonly text: string;
  /** The input had not ended, nor had its object. */
  readonly isCutOff: boolean;
  /** A read is still under way. */
  readonly isOpen: boolean;
}

export interface StdinSource {
  readonly nextPart: (onPart: (part: Buffer | null) => void) => void;
  readonly schedule: (work: () => void, ms: number) => () => void;
  /** Calls when the process is to end. */
  readonly onSignal: (work: () => void) => void;
}

/** Ends with the JSON object, even if stdin stays open. */
export function readHookInput(
  { nextPart, schedule, onSignal }: StdinSource,
  { firstMs, totalMs }: Limits = ownLimits,
): Promise<HookStdin> {
  const reader = new JsonObjectReader();
  const parts: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve) => {
    let isOver = false;
    const finish = (isOpen: boolean): void => {
      if (isOver) return;
      isOver = true;
      for (const cancel of timers) cancel();
      const text = bytes <= maxInputBytes ? decodeText(Buffer.concat(parts)) : reader.text();
      resolve({ text, isCutOff: isOpen && !reader.isWhole, isOpen });
    };
    const timers = [schedule(() => finish(true), totalMs)];
    const cancelFirst = schedule(() => finish(true), firstMs);
    timers.push(cancelFirst);
    // A part that is there already is still read.
    onSignal(() => timers.push(schedule(() => finish(true), quietMs)));
    const onPart = (part: Buffer | null): void => {
      if (isOver) return;
      if (part === null) return finish(false);
      cancelFirst();
      bytes += part.length;
      if (bytes <= maxInputBytes) parts.push(part);
      else parts.length = 0;
      const wasWhole = reader.isWhole;
      if (!wasWhole && !isUtf16(parts[0] ?? part)) reader.push(part);
      if (reader.isWhole && !wasWhole) timers.push(schedule(() => finish(true), quietMs));
      nextPart(onPart);
    };
    nextPart(onPart);
  });
}

export function readStdin(limits: Limits, onSignal: StdinSource["onSignal"] = () => undefined): Promise<HookStdin> {
  const left = { ...limits, totalMs: Math.max(minMs, limits.totalMs - sinceStartMs()) };
  const nextPart = isWindows ? nextStreamPart : nextFilePart;
  return readHookInput({ nextPart, schedule: setTimer, onSignal }, left);
}

const isWindows = process.platform === "win32";

/** Ends the process although a read of its input is under way. */
export function endReading(): void {
  if (isWindows) process.stdin.destroy();
  else endNow();
}

/** `process.exit` would wait for the thread of a pending read or write: the process is replaced. */
function endNow(): void {
  process.execve?.("/bin/sh", ["sh", "-c", "exit 0"], {});
  // The exit code is 1 on Windows, where nothing else ends a process in mid-write.
  process.kill(process.pid, "SIGKILL");
}

let streamParts: AsyncIterator<Buffer> | undefined;

/** A process without an input fails here. */
async function nextOfStream(): Promise<IteratorResult<Buffer>> {
  streamParts ??= process.stdin[Symbol.asyncIterator]();
  return streamParts.next();
}

/** On Windows no read can be given up but that of a stream, and what asks a host loads node:net. */
function nextStreamPart(onPart: (part: Buffer | null) => void): void {
  void nextOfStream().then(
    ({ done, value }) => onPart(done === true ? null : value),
    () => onPart(null),
  );
}

/** Not `process.stdin`: making that stream loads node:net. A failed read counts as the end. */
function nextFilePart(onPart: (part: Buffer | null) => void): void {
  read(0, Buffer.allocUnsafe(partBytes), 0, partBytes, null, (error, count, buffer) => {
    // The parent may have made the pipe non-blocking, for itself as well.
    if (codeOf(error) === "EAGAIN") setTimeout(() => nextFilePart(onPart), busyHandlePollMs);
    else onPart(error || count === 0 ? null : buffer.subarray(0, count));
  });
}

/** A client takes an answer at once, or not at all. */
const maxWriteMs = 1_000;

/**
 * Not `process.stdout` or `process.stderr`: making them loads node:net. A client that does not read
 * makes the process wait no longer than {@link maxWriteMs}.
 */
export async function writeTo(handle: 1 | 2, text: string): Promise<void> {
  const timer = setTimeout(endNow, maxWriteMs);
  let rest = Buffer.from(text);
  while (rest.length > 0) rest = rest.subarray(await writePart(handle, rest));
  clearTimeout(timer);
}

function writePart(handle: number, part: Buffer): Promise<number> {
  return new Promise((resolve) => {
    write(handle, part, (error, count) => {
      if (codeOf(error) === "EAGAIN") setTimeout(() => resolve(0), busyHandlePollMs);
      // A client that has closed its end wants no answer.
      else resolve(error ? part.length : count);
    });
  });
}
