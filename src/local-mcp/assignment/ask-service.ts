import { toUnit } from "../../experiments/assignment/names.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as notices from "../../store/notices.ts";
import { listTrials, type ServiceArms, type Trial } from "../recording/exposures.ts";
import { latestSettings } from "../recording/session-settings.ts";
import { runService } from "./service-process.ts";

/**
 * [EX70] [EX71] Arms of a session that begins, in the trials that began with the configured
 * service. Where the service fails the session is in none, which is logged and noticed.
 */
export function askService(runtime: Runtime, sessionId: string): ServiceArms | null {
  const { provider, waitMs } = runtime.config.experiments;
  if (provider === "local") return null;
  const trials = runtime.store.read<Trial[]>(
    (sql) =>
      (latestSettings(sql, sessionId) === null ? listTrials(sql) : []).filter((one) => one.provider === provider),
    [],
  );
  if (trials.length === 0) return null;
  const asked = trials.map(({ key, share, salt }) => ({ name: key, share, salt, unit: toUnit(salt, sessionId) }));
  const { arms, problems } = runService(runtime, { kind: "choose", trials: asked }, waitMs);
  if (problems.length > 0) report(runtime, provider, problems);
  const answers = trials.flatMap(({ experiment }, index): [string, string][] => {
    const arm = arms[index];
    return arm === "control" || arm === "treatment" ? [[experiment, arm]] : [];
  });
  return { session: sessionId, arms: Object.fromEntries(answers) };
}

/** The notice is shown until it is acknowledged, and then once more at the next problem. */
function report(runtime: Runtime, provider: string, problems: readonly string[]): void {
  const text = `a session was not assigned by ${provider}, which did not answer: it keeps the settings before. \`shim doctor\` says more.`;
  runtime.log("warn", "a session was not assigned", { provider, problems });
  runtime.store.write((sql) => {
    if (notices.list(sql).every((open) => open.text !== text)) notices.add(sql, runtime.now(), "experiment", text);
  });
}
