import { findParameter, lowersSafety } from "../../experiments/parameters.ts";
import type { Experiment } from "../../experiments/engine/experiment.ts";
import type { Finding } from "../../experiments/opportunities/finding.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import { compare } from "../../experiments/replay/compare.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import { pastSessions } from "./machine-history.ts";
import * as rows from "./experiment-rows.ts";
import { decideStart } from "./decisions.ts";

const dayMs = 86_400_000;
/** A value that was tried is not tried again so soon, whatever came of it. */
const pauseMs = 30 * dayMs;
const maxSessions = 500;

/** [EX82] The most certain finding that SHIM may act on; null: none, or a trial is running. */
export function nextTrial(runtime: Runtime, findings: readonly Finding[]): Finding | null {
  const all = runtime.store.read((sql) => rows.list(sql), []).map(({ experiment }) => experiment);
  const since = runtime.now() - pauseMs;
  const isRecent = ({ steps }: Experiment): boolean => (steps.at(-1)?.at ?? 0) > since;
  const tried = new Set(all.filter(isRecent).map(({ key, to }) => `${key}=${to}`));
  return findings.find((one) => isAllowed(one) && !tried.has(`${one.parameter}=${one.to}`)) ?? null;
}

function isAllowed({ parameter: key, from, to }: Finding): boolean {
  const parameter = key === null ? null : findParameter(key);
  const isJudged = parameter !== null && parameter.method !== "person";
  return isJudged && from !== null && to !== null && !lowersSafety(parameter, from, to);
}

/**
 * Replay first, where replay can decide. Null: it may not start now.
 *
 * @param recorded sessions as the review has read them, oldest first
 */
export function tryFinding(runtime: Runtime, finding: Finding, recorded?: readonly ReplaySession[]): Experiment | null {
  const { parameter: key, to, id } = finding;
  if (key === null || to === null) return null;
  const replay =
    findParameter(key)?.method === "replay" ? replayed(runtime, recorded ?? readSessions(runtime), key, to) : null;
  const started = decideStart(runtime, "kaizen", { key, to, reason: id, replay });
  if (!started.ok) runtime.log("info", "a finding was not tried", { id, reason: started.error.code });
  return started.ok ? started.value : null;
}

function readSessions(runtime: Runtime): ReplaySession[] {
  const filter = { since: runtime.now() - 30 * dayMs, limit: maxSessions };
  return runtime.store.read((sql) => pastSessions(sql, filter), []).map(({ session }) => session);
}

function replayed({ config }: Runtime, recorded: readonly ReplaySession[], key: string, to: number) {
  const sessions = recorded.slice(-maxSessions).filter(({ isComplete }) => isComplete);
  const { toolCalls, sessions: n } = compare(sessions, config, withSetting(config, key, to));
  const { verdict, effect, interval } = toolCalls;
  const figures = `${effect?.toFixed(2) ?? "?"} tool calls lost elsewhere, ${interval.low.toFixed(2)} to ${interval.high.toFixed(2)}`;
  return { evidence: { sessions: n, verdict, effect, interval }, note: `${verdict} in ${n} sessions: ${figures}` };
}
