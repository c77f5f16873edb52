import { ok } from "../../shared/result.ts";
import { viewOf } from "../../experiments/trials.ts";
import type { Sql } from "../../shared/sql.ts";
import type { MachineTrial } from "../../contract/trials.ts";
import type { ExperimentView } from "../../contract/machine/experiments.ts";
import { storeRun } from "../experiments/last-opportunities.ts";
import { advanceAll, sessionsOf, start } from "../experiments/machine-trials.ts";
import { markSent } from "../experiments/send-counted.ts";
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
      findings,
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
  /** [EX82] A trial that may not start now is left to the next review. */
  async "review.advance"({ runtime: load }, { trial }) {
    const runtime = await load();
    const toView = (one: MachineTrial): ExperimentView =>
      viewOf(
        one,
        runtime.store.read((sql: Sql) => sessionsOf(sql, one.id, one.steps), null),
      );
    const moved = advanceAll(runtime).map(toView);
    const started = trial && start(runtime, trial, "kaizen");
    if (started?.ok === false)
      runtime.log("info", "a finding was not tried", { id: trial?.reason, reason: started.error.code });
    return ok({ moved, started: started?.ok === true ? toView(started.value) : null });
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
