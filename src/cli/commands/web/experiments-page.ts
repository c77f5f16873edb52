import { pageInputs, type ExperimentLine, type PageOutputs } from "../../../contract/live-page.ts";
import type { ExperimentView } from "../../../contract/machine/experiments.ts";
import {
  allowExperiments,
  endExperiment,
  findExperiment,
  listExperiments,
  stopAllExperiments,
  type Deciding,
} from "../../../local-mcp/experiments/all-experiments.ts";
import { countsOfLastRun } from "../../../local-mcp/experiments/last-opportunities.ts";
import type { HostResult, Workspace } from "../../../local-mcp/host/host.ts";
import { messageOf } from "../../../shared/error.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { Cli } from "../../cli.ts";

export type ExperimentCallName = "page.experiments" | "page.end-experiment" | "page.switch-experiments";

type Answer<Name extends ExperimentCallName> = Promise<
  Result<PageOutputs[Name], { readonly code: string; readonly message: string }>
>;

export function isExperimentCall(name: string): name is ExperimentCallName {
  return name === "page.experiments" || name === "page.end-experiment" || name === "page.switch-experiments";
}

export async function answerExperiments(
  cli: Cli,
  openWorkspace: () => Promise<HostResult<Workspace>>,
  name: ExperimentCallName,
  given: unknown,
): Answer<ExperimentCallName> {
  const input = pageInputs[name].safeParse(given);
  if (!input.success) return err({ code: "bad_input", message: messageOf(input.error) });
  const deciding: Deciding = {
    runtime: await cli.runtime(),
    by: "live page",
    inWorkspace: async (body) => {
      const opened = await openWorkspace();
      return opened.ok ? body(opened.value) : opened;
    },
  };
  return answerChecked(deciding, name, input.data);
}

/** @param input as checked before */
async function answerChecked(deciding: Deciding, name: ExperimentCallName, input: unknown): Answer<ExperimentCallName> {
  if (name === "page.experiments") return ok(await readExperiments(deciding));
  if (name === "page.switch-experiments") return switchAll(deciding, pageInputs[name].parse(input).isOff);
  const { experiment, isRevert } = pageInputs[name].parse(input);
  return endOne(deciding, experiment, isRevert);
}

/** [WP22] Where the coordinator cannot be asked: those of the machine, and the reason. */
async function readExperiments(deciding: Deciding): Promise<PageOutputs["page.experiments"]> {
  const { store, now } = deciding.runtime;
  const { experiments, offSince, workspaceProblem } = await listExperiments(deciding);
  return {
    experiments: experiments.toReversed().map((one) => toLine(one, now())),
    offAgeMs: offSince === null ? null : Math.max(0, now() - offSince),
    opportunities: store.read((sql) => countsOfLastRun(sql, now()), []),
    trouble: workspaceProblem,
  };
}

function toLine(one: ExperimentView, now: number): ExperimentLine {
  const { id, scope, key, from, to, state, isRunning, sessions, reason, steps, ending } = one;
  const last = steps.at(-1);
  return {
    id,
    change: `${key}${scope === "workspace" ? " of the workspace" : ""}: ${from} -> ${to}`,
    state,
    isRunning,
    sessions,
    stepAgeMs: Math.max(0, now - (last?.at ?? now)),
    note: last?.note ?? "",
    reason,
    ending,
  };
}

/** [WP23] Leaves an experiment that is over as it is. */
async function endOne(deciding: Deciding, id: string, isRevert: boolean): Answer<"page.end-experiment"> {
  const ended = await endExperiment(deciding, id, isRevert);
  const isOver = !ended.ok && ended.error.code === "ended";
  const after = isOver ? await findExperiment(deciding, id) : ended;
  if (after.ok) return ok({ state: after.value.state });
  return after.error.code === "not_found" ? err({ code: "unknown_key", message: after.error.message }) : after;
}

/** [WP23] Where the coordinator cannot be asked, an error after the machine's own are stopped. */
async function switchAll(deciding: Deciding, isOff: boolean): Answer<"page.switch-experiments"> {
  const { stopped, workspaceProblem } = isOff
    ? await stopAllExperiments(deciding)
    : { stopped: [], workspaceProblem: await allowExperiments(deciding) };
  if (workspaceProblem === null) return ok({ stopped: stopped.map(({ id }) => id) });
  const message = `this was done for the settings of this machine, not for those of the workspace: ${workspaceProblem}`;
  return err({ code: "edge_unusable", message });
}
