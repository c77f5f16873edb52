import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import type { Config } from "../../contract/config.ts";
import { redact } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { beginningOf } from "../../shared/shorten.ts";
import { parseObject } from "../../shared/json-fields.ts";
import * as notices from "../../store/notices.ts";
import {
  latestSettings,
  listAssigned,
  toUnit,
  type AssignedTrial,
  type ServiceArms,
} from "../sessions/session-settings.ts";

/** Exchanged with the process of a service, as JSON: hashed units and names. */
export interface ServiceRequest {
  readonly settings: Config["experiments"];
  /** SHIM's folder: packages and modules are resolved from it. */
  readonly home: string;
  /** An experiment has the key of its setting as its name. */
  readonly trials: readonly { readonly name: string; readonly unit: string }[];
}

export interface ServiceAnswer {
  /** In the order of the trials; null: the session is not in it. */
  readonly arms: readonly (string | null)[];
  /** Empty: all went well. */
  readonly problems: readonly string[];
}

/** Start of the process and load of the packages, in ms. */
const startMs = 1_500;
const answerFd = 3;
const maxAnswerBytes = 1_048_576;
const maxProblemChars = 300;

/**
 * Asks the configured service in a process of its own, which is killed at the
 * limit: whatever its package does, the caller gets an answer.
 *
 * @param waitMs limit of its answer
 */
export function runService(
  { launch, env, paths, config }: Pick<Runtime, "launch" | "env" | "paths" | "config">,
  trials: ServiceRequest["trials"],
  waitMs: number,
): ServiceAnswer {
  const request: ServiceRequest = { settings: config.experiments, home: paths.home, trials };
  const script = join(dirname(launch.hookScript), "hook-service.cjs");
  const timeout = waitMs + startMs;
  const { error, output } = spawnSync(launch.node, [script], {
    input: JSON.stringify(request),
    stdio: ["pipe", "ignore", "ignore", "pipe"],
    env,
    timeout,
    killSignal: "SIGKILL",
    maxBuffer: maxAnswerBytes,
    windowsHide: true,
  });
  if (error)
    return problem("code" in error && error.code === "ETIMEDOUT" ? `no answer within ${timeout} ms` : String(error));
  return parseAnswer(String(output?.[answerFd] ?? "")) ?? problem("its process ended without an answer");
}

function problem(text: string): ServiceAnswer {
  return { arms: [], problems: [text] };
}

function parseAnswer(text: string): ServiceAnswer | null {
  const answer = parseObject(text);
  if (!Array.isArray(answer?.["arms"]) || !Array.isArray(answer["problems"])) return null;
  const problems = answer["problems"].map((one) => beginningOf(redact(String(one)).text, maxProblemChars));
  return { arms: answer["arms"].map((arm) => (typeof arm === "string" ? arm : null)), problems };
}

/**
 * Arms of a session that begins, in the trials that began with the configured
 * service. Where the service fails the session is in none, which is logged and noticed.
 */
export function askService(runtime: Runtime, sessionId: string): ServiceArms | null {
  const { provider, waitMs } = runtime.config.experiments;
  if (provider === "local") return null;
  const trials = runtime.store.read<AssignedTrial[]>(
    (sql) =>
      (latestSettings(sql, sessionId) === null ? listAssigned(sql) : []).filter((one) => one.provider === provider),
    [],
  );
  if (trials.length === 0) return null;
  const asked = trials.map(({ key, salt }) => ({ name: key, unit: toUnit(salt, sessionId) }));
  const { arms, problems } = runService(runtime, asked, waitMs);
  if (problems.length > 0) report(runtime, provider, problems);
  const answers = trials.flatMap(({ id }, index): [string, string][] => {
    const arm = arms[index];
    return arm === "control" || arm === "treatment" ? [[id, arm]] : [];
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
