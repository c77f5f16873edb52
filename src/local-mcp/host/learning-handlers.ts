import { withText } from "../../experiments/opportunities/describe.ts";
import { ok } from "../../shared/result.ts";
import { viewOfExperiment } from "../../experiments/kaizen/experiment-view.ts";
import { markSent } from "../assignment/send-counted.ts";
import { advanceAll } from "../experiments/experiments.ts";
import { storeRun } from "../experiments/last-opportunities.ts";
import { tryNext, type NextTrial } from "../experiments/next-trial.ts";
import { noteReview } from "../experiments/workspace-review.ts";
import { examine, storeCounts } from "./examine.ts";
import { readReport, review } from "./review.ts";
import { decidingOf } from "./experiment-handlers.ts";
import type { Handlers } from "./handlers.ts";

export const learningHandlers: Handlers<
  | "opportunities.list"
  | "opportunities.store"
  | "report.get"
  | "review.run"
  | "review.advance"
  | "review.note"
  | "review.mark-sent"
> = {
  /** [EX66] */
  async "opportunities.list"(context, { since: given }) {
    const examined = await examine(await decidingOf(context), given);
    await storeCounts(context.call, examined);
    const { since, until, recorded, findings, unjudged, team } = examined;
    return ok({
      since,
      until,
      sessions: recorded.length,
      findings: findings.map(withText),
      unjudged,
      teamProblem: team.ok ? null : team.error.message,
      hasDepartures: team.ok && team.value.departures !== null,
    });
  },
  async "report.get"(context, { week }) {
    return readReport(await decidingOf(context), week);
  },
  async "review.run"(context, { dryRun }) {
    return review(await decidingOf(context), context.call, dryRun);
  },
  async "opportunities.store"({ runtime }, { until, patterns }) {
    const { store } = await runtime();
    store.write((sql) => storeRun(sql, until, patterns));
    return ok({});
  },
  async "review.advance"({ runtime: load }, { finding, replay }) {
    const runtime = await load();
    const moved = advanceAll(runtime).map(viewOfExperiment);
    const started = tryNext(runtime, { finding, replay: replay as NextTrial["replay"], waits: [] });
    return ok({ moved, started: started && viewOfExperiment(started) });
  },
  async "review.note"({ runtime }, done) {
    noteReview(await runtime(), done);
    return ok({});
  },
  async "review.mark-sent"({ runtime }, { experiment, sent }) {
    markSent(await runtime(), experiment, sent);
    return ok({});
  },
};
