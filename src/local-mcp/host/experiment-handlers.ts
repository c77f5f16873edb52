import { err, ok } from "../../shared/result.ts";
import {
  allowExperiments,
  endExperiment,
  findExperiment,
  listExperiments,
  startExperiment,
  stopAllExperiments,
  type Deciding,
} from "../experiments/experiments.ts";
import type { HandlerContext, Handlers } from "./handlers.ts";

export async function decidingOf(context: HandlerContext): Promise<Deciding> {
  return {
    runtime: await context.runtime(),
    by: context.by ?? "command line",
    inWorkspace: async (body) => {
      const opened = await context.workspace.open();
      return opened.ok ? body(opened.value) : opened;
    },
  };
}

type Operation =
  | "experiments.list"
  | "experiments.show"
  | "experiments.start"
  | "experiments.stop"
  | "experiments.revert"
  | "experiments.allow";

export const experimentHandlers: Handlers<Operation> = {
  async "experiments.list"(context) {
    return listExperiments(await decidingOf(context));
  },
  async "experiments.show"(context, { experiment }) {
    return findExperiment(await decidingOf(context), experiment);
  },
  async "experiments.start"(context, given) {
    return startExperiment(await decidingOf(context), given);
  },
  async "experiments.stop"(context, { experiment, all = false }) {
    if (all === (experiment !== undefined)) return err({ code: "bad_input", message: "name an experiment, or --all." });
    const deciding = await decidingOf(context);
    if (experiment === undefined) return stopAllExperiments(deciding);
    const ended = await endExperiment(deciding, experiment, false);
    return ended.ok ? ok({ stopped: [ended.value], workspaceProblem: null }) : ended;
  },
  async "experiments.revert"(context, { experiment }) {
    return endExperiment(await decidingOf(context), experiment, true);
  },
  async "experiments.allow"(context) {
    return ok({ workspaceProblem: await allowExperiments(await decidingOf(context)) });
  },
};
