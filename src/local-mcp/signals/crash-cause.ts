import type { CrashCause, Reading, ReadingName, Readings } from "../../contract/readings.ts";

/** Pure: why a session that has no end mark and no living owner died. */
export interface Evidence {
  /** The last ones of the session. */
  readonly readings: Readings;
  /** When it was last seen, epoch ms; absent: when the newest reading was taken. */
  readonly endedAt?: number;
  /** Text of the StopFailure hook (error type, details, message), if nothing was begun after it. */
  readonly lastStopFailure: string | null;
  /** The last error that the client itself showed in the chat (`TranscriptPart.apiErrors`), if nothing was begun after it. */
  readonly lastError: string | null;
  /** What the MCP process saw last: stdin_end (its client lived on), client_gone, sigterm, sighup, sigint, parent_death; null: it saw nothing. */
  readonly detachReason: string | null;
  /** Whether the owner ran since the machine last started; null: not known, or it had no owner. */
  readonly isSameBoot: boolean | null;
  /** `memory.oomKills` while it lived, and now. */
  readonly oomKillsBefore: number | null;
  readonly oomKillsNow: number | null;
  readonly hadRunningTool: boolean;
  /** True for a client that reports its own end (Claude Code with hooks): its silence then says something. */
  readonly hasEndHook?: boolean;
}

export interface Cause {
  readonly cause: CrashCause;
  /** One sentence: what it rests on. Holds figures and fixed words only, no text of the chat. */
  readonly detail: string;
}

const fullMemory = 0.95;
const fullContext = 0.95;
/** A reading says something of the end only when it was taken so shortly before. */
const nearEndMs = 300_000;

const contextWords =
  /prompt is too long|input is too long for requested model|context limit reached|conversation too long|model_context_window_exceeded|exceeds? the (?:maximum )?context (?:window|limit|length)/i;
const limitWords =
  /\brate_limit\b|\bbilling_error\b|usage limit|(?:session|weekly|monthly|spend|opus|sonnet|haiku|fable|mythos)(?: [\d.]+)? limit|hit your .{0,40}\blimit|out of (?:extra )?usage|credit balance/i;
/** The client's words for a short throttling by the service, which has nothing to do with the plan. */
const throttleWords = /not your usage limit/i;
/** How the client begins its own errors; a tool's output that only speaks of such an error does not count. */
const clientError =
  /^(?:api error|prompt is too long|context limit reached|you['\u2019]ve hit your|claude usage limit|usage limit)/i;

const orderlyEnds: Readonly<Record<string, string>> = {
  sighup: "its terminal was closed (SIGHUP)",
  sigterm: "it was asked to end (SIGTERM)",
  // [SI35] Claude Code stops its MCP servers with SIGINT, also when it got SIGTERM itself.
  sigint: "it was asked to end, by which signal is not known",
};

/**
 * [SI24] The cause of a death by the first of these that holds: what the client itself said (context full, usage limit), an
 * orderly signal, the kernel's count of out-of-memory kills, nearly full memory, a nearly full context, a vanished
 * process. [SI25] Where the evidence is missing or fits more than one, it says unknown.
 */
export function inferCause(evidence: Evidence): Cause {
  return (
    fromWords(evidence) ??
    fromSignal(evidence) ??
    fromMemory(evidence) ??
    fromContext(evidence) ??
    fromSilence(evidence)
  );
}

function fromWords({ lastStopFailure, lastError }: Evidence): Cause | null {
  const shown = lastError !== null && clientError.test(lastError.trim()) ? lastError : "";
  const words = `${lastStopFailure ?? ""}\n${shown}`;
  if (contextWords.test(words)) return { cause: "context_full", detail: "The client said that the context is full." };
  if (limitWords.test(words) && !throttleWords.test(words))
    return { cause: "usage_limit", detail: "The client said that a usage limit was reached." };
  return null;
}

function fromSignal({ detachReason, isSameBoot }: Evidence): Cause | null {
  const how = detachReason !== null && Object.hasOwn(orderlyEnds, detachReason) ? orderlyEnds[detachReason] : undefined;
  if (how === undefined) return null;
  const later = isSameBoot === false ? "; the machine was started again since" : "";
  return { cause: "closed", detail: `The last thing seen was that ${how}${later}.` };
}

function fromMemory(evidence: Evidence): Cause | null {
  const { oomKillsBefore: before, oomKillsNow: now, isSameBoot } = evidence;
  // The counter starts again at boot, so over a boot it says nothing.
  if (isSameBoot === true && before !== null && now !== null && now > before)
    return {
      cause: "out_of_memory",
      detail: `The kernel's count of out-of-memory kills rose from ${before} to ${now} since it was last seen.`,
    };
  const memory = readingAtEnd(evidence, "hostMemory");
  if (memory === null || memory.value <= fullMemory) return null;
  return { cause: "out_of_memory", detail: `Memory was ${percent(memory)} full at the end.` };
}

function fromContext(evidence: Evidence): Cause | null {
  const fill = readingAtEnd(evidence, "contextFill");
  if (fill === null || fill.value < fullContext) return null;
  return { cause: "context_full", detail: `The context was ${percent(fill)} full at the end (${fill.source}).` };
}

function fromSilence({ detachReason, isSameBoot, hadRunningTool, hasEndHook }: Evidence): Cause {
  const when = hadRunningTool ? " in the middle of a tool call" : "";
  const isConnectionOver = detachReason === "stdin_end" || detachReason === "client_gone";
  if (detachReason === "parent_death" || (isConnectionOver && hasEndHook === true))
    return { cause: "killed", detail: `The client went away${when} without reporting an end.` };
  if (detachReason !== null)
    return {
      cause: "unknown",
      detail: `The connection ended${when}: a client that was closed and one that was killed look the same.`,
    };
  if (isSameBoot === null) return { cause: "unknown", detail: "Nothing was seen of its end." };
  return isSameBoot
    ? { cause: "killed", detail: `Its process vanished${when}; nothing orderly was seen.` }
    : { cause: "killed", detail: `The machine was started again since; nothing orderly was seen before${when}.` };
}

/** The reading, if it was taken shortly before the end. */
function readingAtEnd({ readings, endedAt }: Evidence, name: ReadingName): Reading | null {
  const reading = readings[name];
  if (!reading) return null;
  const end = endedAt ?? Math.max(...Object.values(readings).map((other) => other.at));
  return end - reading.at <= nearEndMs ? reading : null;
}

function percent({ value }: Reading): string {
  return `${Math.floor(Math.min(1, value) * 100)} %`;
}
