import { pageInputs, type ExperimentLine, type PageCallName, type PageOutputs } from "../../../contract/live-page.ts";
import { isRunning, type Experiment } from "../../../experiments/engine/experiment.ts";
import { decideAllow, decideEnd, decideStopAll } from "../../../local-mcp/experiments/decisions.ts";
import * as rows from "../../../local-mcp/experiments/experiment-rows.ts";
import { countsOfLastRun } from "../../../local-mcp/experiments/last-opportunities.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { PageError } from "./page-server.ts";

const by = "live page";

export type ExperimentCallName = "page.experiments" | "page.end-experiment" | "page.switch-experiments";

/** @param input as checked before @returns null: the call is about something else */
export function answerExperiments(
  runtime: Runtime,
  name: PageCallName,
  input: unknown,
): Result<PageOutputs[ExperimentCallName], PageError> | null {
  if (name === "page.experiments") return ok(readExperiments(runtime));
  if (name === "page.switch-experiments") return ok(switchAll(runtime, pageInputs[name].parse(input).isOff));
  if (name !== "page.end-experiment") return null;
  const { experiment, isRevert } = pageInputs[name].parse(input);
  const ended = endOne(runtime, experiment, isRevert);
  return ended ? ok(ended) : err({ code: "unknown_key", message: "there is no such experiment" });
}

/** [WP22] */
function readExperiments(runtime: Runtime): PageOutputs["page.experiments"] {
  const now = runtime.now();
  return runtime.store.read(
    (sql) => {
      const off = rows.offSince(sql);
      return {
        experiments: rows.list(sql).map(({ experiment }) => toLine(experiment, now)),
        offAgeMs: off === null ? null : Math.max(0, now - off),
        opportunities: countsOfLastRun(sql, now),
      };
    },
    { experiments: [], offAgeMs: null, opportunities: [] },
  );
}

function toLine(experiment: Experiment, now: number): ExperimentLine {
  const { id, key, from, to, reason, state, verdict, canary, steps } = experiment;
  const last = steps.at(-1);
  return {
    id,
    change: `${key}: ${from} -> ${to}`,
    state: state === "decided" && verdict !== null ? `decided: ${verdict}` : state.replace("_", " "),
    isRunning: isRunning(experiment),
    sessions: canary && { without: canary.counts[0], with: canary.counts[1] },
    stepAgeMs: Math.max(0, now - (last?.at ?? now)),
    note: last?.note ?? "",
    reason,
    ending: endingOf(experiment),
  };
}

function endingOf(experiment: Experiment): ExperimentLine["ending"] {
  const { key, from, state } = experiment;
  const isInFile = state === "deploying" || state === "deployed" || state === "kept";
  if (!isRunning(experiment) && state !== "kept") return null;
  const effect = isInFile
    ? `config.json gets ${key} = ${from} again at once, unless you have changed it since.`
    : `Every chat has ${key} = ${from} again at once. What was counted until now is kept.`;
  return { isRevert: isInFile, effect };
}

/** [WP23] Leaves an experiment that is over as it is. @returns null for an unknown experiment */
function endOne(runtime: Runtime, id: string, isRevert: boolean): PageOutputs["page.end-experiment"] | null {
  decideEnd(runtime, by, id, isRevert);
  const stored = runtime.store.read((sql) => rows.get(sql, id), null);
  return stored && { state: stored.experiment.state };
}

/** [WP23] */
function switchAll(runtime: Runtime, isOff: boolean): PageOutputs["page.switch-experiments"] {
  if (isOff) return { stopped: decideStopAll(runtime, by).map(({ id }) => id) };
  decideAllow(runtime, by);
  return { stopped: [] };
}
