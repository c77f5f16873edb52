import { withText } from "../../experiments/opportunities/describe.ts";
import { ok } from "../../shared/result.ts";
import { examine } from "./examine.ts";
import { readReport, review } from "./review.ts";
import { decidingOf } from "./experiment-handlers.ts";
import type { Handlers } from "./handlers.ts";

export const learningHandlers: Handlers<"opportunities.list" | "report.get" | "review.run"> = {
  /** [EX66] */
  async "opportunities.list"(context, { since: given }) {
    const examined = await examine(await decidingOf(context), { isStored: true, since: given });
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
    return ok(await review(await decidingOf(context), dryRun));
  },
};
