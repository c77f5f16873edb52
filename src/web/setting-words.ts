import { count, percent } from "./format.ts";

/** Pure: settings that experiments try, as a person says them. */

const minutes = (ms: number): string => `${(ms / 60_000).toFixed(1)} min`;
const calls = (n: number): string => count(n, "call");

const words: Readonly<Record<string, readonly [what: string, valueText: (value: number) => string]>> = {
  "checkpoint.everyToolCalls": ["A chat is saved after", calls],
  "checkpoint.everyMs": ["A chat is saved after", minutes],
  "risk.thresholds.contextFill": ["A chat is at risk with a context filled to", percent],
  "risk.thresholds.sinceCheckpointMs": ["A chat is at risk when it was not saved for", minutes],
  "risk.thresholds.memory": ["A chat is at risk with the machine's memory filled to", percent],
};

/** The change of an experiment; a setting without words is named by its key. */
export function changeText({
  key,
  from,
  to,
}: {
  readonly key: string;
  readonly from: number;
  readonly to: number;
}): string {
  const [what, valueText] = words[key] ?? [`${key}:`, String];
  return `${what} ${valueText(to)} instead of ${valueText(from)}`;
}
