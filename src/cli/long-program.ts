import { localTime } from "../contract/age.ts";
import type { Cli } from "./cli.ts";
import { safeJsonLine } from "./screen-text.ts";

interface EndSignals {
  /** Aborted by Ctrl-C, and when the output is not read any more; its reason says which. */
  readonly endSignal: AbortSignal;
  /** Aborted by a second Ctrl-C. */
  readonly hurrySignal: AbortSignal;
  /** Epoch ms at which Enter last stopped the rules for usage limits; null: never. */
  readonly stoppedAt: () => number | null;
}

const leaveTimeoutMs = 2_000;

/** Runs a program that works until it is asked to end. */
export async function untilAskedToEnd<T>(cli: Cli, body: (signals: EndSignals) => Promise<T>): Promise<T> {
  const { io } = cli;
  const rules = await cli.call("config.get", { key: "atLimit" });
  const hasRules = rules.ok && Array.isArray(rules.value.value) && rules.value.value.length > 0;
  if (io.isInteractive && hasRules)
    cli.progress("Press Enter to stop what the rules for usage limits (`atLimit`) start; Ctrl-C ends everything.");
  let stoppedAt: number | null = null;
  const [asked, hurried] = [new AbortController(), new AbortController()];
  const subscriptions = [
    io.onInterrupt(() => (asked.signal.aborted ? hurried.abort() : asked.abort("asked to end"))),
    // Ctrl-C ends `| tee` first, and a closed terminal reads nothing.
    io.onEnter(() => void (stoppedAt = io.now())),
    io.onReaderGone(() => asked.abort("its output is not read any more")),
  ];
  try {
    return await body({ endSignal: asked.signal, hurrySignal: hurried.signal, stoppedAt: () => stoppedAt });
  } finally {
    for (const stop of subscriptions) stop();
    // Unread output must not keep the process alive.
    io.leaveWithin(leaveTimeoutMs);
  }
}

/** An event as a line of JSON, or as its lines for people, each with the time. */
export function eventText<Event extends { readonly type: string }>(
  cli: Cli,
  isJson: boolean,
  event: Event,
  linesOf: (event: Event) => readonly string[],
): string {
  const at = cli.io.now();
  if (!isJson)
    return cli.format(
      linesOf(event)
        .map((line) => `${localTime(at)} ${line}\n`)
        .join(""),
    );
  const { type, ...more } = event;
  return `${safeJsonLine({ event: type, at, ...more })}\n`;
}
