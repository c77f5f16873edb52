import { read } from "node:fs";
import { codeOf } from "../../shared/error.ts";

interface Limits {
  /** For the first part of the input. */
  readonly firstMs: number;
  /** A client silent for so long while its input is incomplete sends no more. */
  readonly silenceMs: number;
  readonly totalMs: number;
}

/** Below the ten seconds that the client gives a hook. */
export const ownLimits: Limits = { firstMs: 3_000, silenceMs: 3_000, totalMs: 6_000 };
/**
 * [HO65] Another client that sends nothing does not wait for an answer that is empty. What it has
 * begun to send is read to its end: some clients fail where a hook ends before it has read.
 */
export const foreignLimits: Limits = { ...ownLimits, firstMs: 100 };
const partBytes = 65_536;
const emptyPipePollMs = 10;
const maxBytes = 32_000_000;

interface HookStdin {
  readonly text: string;
  readonly isCutOff: boolean;
}

/** [HO40] Ends with the JSON object, even if stdin stays open. */
export function readHookInput(
  nextPart: (onPart: (part: Buffer | null) => void) => void,
  schedule: (work: () => void, ms: number) => () => void,
  { firstMs, silenceMs, totalMs }: Limits = ownLimits,
): Promise<HookStdin> {
  const reader = new JsonObjectReader();
  const parts: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve) => {
    let isOver = false;
    const finish = (isCutOff: boolean): void => {
      if (isOver) return;
      isOver = true;
      cancelSilence();
      cancelAll();
      // Anything but a JSON object is passed on unchanged, to be reported.
      const isWhole = !isCutOff && bytes <= maxBytes;
      resolve({ text: isWhole ? Buffer.concat(parts).toString() : reader.text(), isCutOff });
    };
    let cancelSilence = schedule(() => finish(true), firstMs);
    const cancelAll = schedule(() => finish(true), totalMs);
    const onPart = (part: Buffer | null): void => {
      if (isOver) return;
      if (part === null) return finish(false);
      cancelSilence();
      cancelSilence = schedule(() => finish(true), silenceMs);
      bytes += part.length;
      if (bytes <= maxBytes) parts.push(part);
      else parts.length = 0;
      reader.push(part);
      if (reader.isWhole) finish(false);
      else nextPart(onPart);
    };
    nextPart(onPart);
  });
}

export function readStdin(limits: Limits): Promise<HookStdin> {
  return readHookInput(nextPart, schedule, limits);
}

function schedule(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

/** `process.exit` would wait for the pending read's thread, so the process is replaced. */
export function exitWithPendingRead(): void {
  if (process.platform !== "win32") process.execve?.("/bin/sh", ["sh", "-c", "exit 0"], {});
  process.kill(process.pid, "SIGKILL");
}

/** Not `process.stdin`: making that stream loads node:net. A failed read counts as the end. */
function nextPart(onPart: (part: Buffer | null) => void): void {
  read(0, Buffer.allocUnsafe(partBytes), 0, partBytes, null, (error, count, buffer) => {
    // The parent may have made the pipe non-blocking, for itself as well.
    if (codeOf(error) === "EAGAIN") setTimeout(() => nextPart(onPart), emptyPipePollMs);
    else onPart(error || count === 0 ? null : buffer.subarray(0, count));
  });
}

/** Larger top-level values are dropped: only a tool's output can be that large. */
const maxValueBytes = 16_000_000;

const byte = { quote: 0x22, comma: 0x2c, backslash: 0x5c };
const opening: ReadonlySet<number> = new Set(Buffer.from("{["));
const closing: ReadonlySet<number> = new Set(Buffer.from("}]"));

/** Reads in bounded memory. [HO40] [HO41] */
export class JsonObjectReader {
  readonly #fields: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isWhole = false;
  #field: Buffer[] = [];
  #fieldBytes = 0;

  get isWhole(): boolean {
    return this.#isWhole;
  }

  push(part: Buffer): void {
    let from = 0;
    for (let at = 0; at < part.length && !this.#isWhole; at++) {
      const isBoundary = this.#step(part[at] ?? 0);
      if (!isBoundary) continue;
      this.#append(part.subarray(from, at));
      this.#endField();
      from = at + 1;
    }
    if (!this.#isWhole && this.#depth > 0) this.#append(part.subarray(from));
  }

  text(): string {
    return `{${this.#fields.map((field) => field.toString()).join(",")}}`;
  }

  /** @returns whether the byte begins or ends a field of the object */
  #step(next: number): boolean {
    if (this.#isInString) {
      this.#stepInString(next);
      return false;
    }
    if (next === byte.quote) this.#isInString = true;
    if (opening.has(next)) return (this.#depth += 1) === 1;
    if (!closing.has(next)) return next === byte.comma && this.#depth === 1;
    this.#depth -= 1;
    this.#isWhole = this.#depth === 0;
    return this.#isWhole;
  }

  #stepInString(next: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (next === byte.backslash) this.#isEscaped = true;
    else if (next === byte.quote) this.#isInString = false;
  }

  #append(part: Buffer): void {
    this.#fieldBytes += part.length;
    if (this.#isFieldTooLarge) this.#field = [];
    else this.#field.push(part);
  }

  get #isFieldTooLarge(): boolean {
    return this.#fieldBytes > maxValueBytes || this.#bytes + this.#fieldBytes > maxBytes;
  }

  #endField(): void {
    // Only white space precedes the first field.
    const field = Buffer.concat(this.#field);
    if (!this.#isFieldTooLarge && field.includes(":")) {
      this.#fields.push(field);
      this.#bytes += this.#fieldBytes;
    }
    this.#field = [];
    this.#fieldBytes = 0;
  }
}
