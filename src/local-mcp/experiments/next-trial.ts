import { findParameter, lowersSafety, type Parameter } from "../../experiments/parameters.ts";
import type { Experiment } from "../../experiments/engine/experiment.ts";
import type { Finding } from "../../contract/machine/learning.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import { compare } from "../../experiments/replay/compare.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import * as rows from "./experiment-rows.ts";
import { decideStart } from "./decisions.ts";
import { whyNoEnd, type NewExperiment } from "./experiments.ts";

const dayMs = 86_400_000;
/** A value that was tried is not tried again so soon, whatever came of it. */
const pauseMs = 30 * dayMs;
const maxSessions = 500;

export interface NextTrial {
  readonly finding: Finding | null;
  /** Absent (null) where live sessions decide. */
  readonly replay: NewExperiment["replay"];
  /** Sentences: why findings that are more certain are not tried yet. */
  readonly waits: readonly string[];
}

/**
 * [EX82] The most certain finding that SHIM may act on, and that can be decided on this machine:
 * replay first, where replay can decide. [EX171] [EX174] One that has to wait blocks no other.
 *
 * @param recorded sessions as the review has read them, oldest first
 */
export function nextTrial(
  runtime: Runtime,
  findings: readonly Finding[],
  recorded: readonly ReplaySession[],
): NextTrial {
  const waits: string[] = [];
  for (const finding of untried(runtime, findings)) {
    const { parameter: key, to } = finding;
    if (key === null || to === null) continue;
    const parameter = findParameter(key);
    if (parameter === null) continue;
    const replay = parameter.method === "replay" ? replayed(runtime, recorded, key, to) : null;
    const reason = whyNotYet(runtime, parameter, replay);
    if (reason === null) return { finding, replay, waits };
    waits.push(`\`${key}\` = ${to} is not tried yet: ${reason}.`);
  }
  return { finding: null, replay: null, waits };
}

function whyNotYet(runtime: Runtime, parameter: Parameter, replay: ReturnType<typeof replayed> | null): string | null {
  if (replay?.isWaiting === true) return replay.note;
  // A value that replay does not find better needs no chats: its experiment ends at once.
  const needsChats = replay === null || replay.evidence.verdict === "better";
  return needsChats ? whyNoEnd(runtime, parameter) : null;
}

function untried(runtime: Runtime, findings: readonly Finding[]): Finding[] {
  const all = runtime.store.read((sql) => rows.list(sql), []).map(({ experiment }) => experiment);
  const since = runtime.now() - pauseMs;
  const isRecent = ({ steps }: Experiment): boolean => (steps.at(-1)?.at ?? 0) > since;
  const tried = new Set(all.filter(isRecent).map(({ key, to }) => `${key}=${to}`));
  return findings.filter((one) => isAllowed(one) && !tried.has(`${one.parameter}=${one.to}`));
}

function isAllowed({ parameter: key, from, to }: Finding): boolean {
  const parameter = key === null ? null : findParameter(key);
  const isJudged = parameter !== null && parameter.method !== "person";
  return isJudged && from !== null && to !== null && !lowersSafety(parameter, from, to);
}

/** The experiment; null where it may not start now. */
export function tryNext(runtime: Runtime, { finding, replay }: NextTrial): Experiment | null {
  if (finding === null || finding.parameter === null || finding.to === null) return null;
  const { parameter: key, to, id: reason } = finding;
  const started = decideStart(runtime, "kaizen", { key, to, reason, replay });
  if (!started.ok) runtime.log("info", "a finding was not tried", { id: reason, reason: started.error.code });
  return started.ok ? started.value : null;
}

function replayed({ config }: Runtime, recorded: readonly ReplaySession[], key: string, to: number) {
  const sessions = recorded.slice(-maxSessions).filter(({ isComplete }) => isComplete);
  const { verdict, effect, interval, isOver, needed, n } = compare(
    sessions,
    config,
    withSetting(config, key, to),
  ).toolCalls;
  const figures = `${effect?.toFixed(2) ?? "?"} tool calls lost elsewhere, ${interval.low.toFixed(2)} to ${interval.high.toFixed(2)}`;
  // The largest sample that a review reads decides in any case.
  const isWaiting = !isOver && sessions.length < maxSessions;
  const note = isWaiting
    ? `its replay needs about ${needed} sessions with their events, and ${n} are recorded`
    : `${verdict} in ${n} sessions: ${figures}`;
  return { evidence: { sessions: n, verdict, effect, interval }, note, isWaiting };
}
