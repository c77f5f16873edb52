import type { Finding } from "../../contract/machine/learning.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import type { NewTrial } from "../../contract/trials.ts";
import { candidates, type Candidate } from "../../experiments/trials.ts";
import { compare } from "../../experiments/replay/loss.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import { list, whyNoEnd } from "./machine-trials.ts";

const maxSessions = 500;

export interface NextTrial {
  readonly trial: NewTrial | null;
  /** Sentences: why findings that are more certain are not tried yet. */
  readonly waits: readonly string[];
}

/**
 * [EX82] The most certain finding that SHIM may act on, and that can be decided on this machine,
 * by replay first. [EX171] [EX174] One that has to wait blocks no other.
 *
 * @param recorded sessions as the review has read them, oldest first
 */
export function nextTrial(
  runtime: Runtime,
  findings: readonly Finding[],
  recorded: readonly ReplaySession[],
): NextTrial {
  const waits: string[] = [];
  const trials = runtime.store.read((sql) => list(sql), []);
  for (const candidate of candidates(findings, trials, "machine", runtime.now())) {
    const { parameter, to, reason } = candidate;
    const replay = replayed(runtime, recorded, candidate);
    const obstacle = whyNotYet(runtime, replay);
    if (obstacle === null) return { trial: { key: parameter.key, to, reason, replay }, waits };
    waits.push(`\`${parameter.key}\` = ${to} is not tried yet: ${obstacle}.`);
  }
  return { trial: null, waits };
}

type Replayed = NonNullable<NewTrial["replay"]> & { readonly isWaiting: boolean };

function whyNotYet(runtime: Runtime, { verdict, note, isWaiting }: Replayed): string | null {
  if (isWaiting) return note;
  // A value that replay does not find better needs no chats: its trial ends at once.
  return verdict === "better" ? whyNoEnd(runtime) : null;
}

function replayed({ config }: Runtime, recorded: readonly ReplaySession[], { parameter, to }: Candidate): Replayed {
  const sessions = recorded.slice(-maxSessions).filter(({ isComplete }) => isComplete);
  const { toolCalls } = compare(sessions, config, withSetting(config, parameter.key, to));
  const { verdict, effect, interval, isOver, needed, n } = toolCalls;
  const figures = `${effect?.toFixed(2) ?? "?"} tool calls lost elsewhere, ${interval.low.toFixed(2)} to ${interval.high.toFixed(2)}`;
  // The largest sample that a review reads decides in any case.
  const isWaiting = !isOver && sessions.length < maxSessions;
  const note = isWaiting
    ? `its replay needs about ${needed} sessions with their events, and ${n} are recorded`
    : `${verdict} in ${n} sessions: ${figures}`;
  return { verdict, note, isWaiting };
}
