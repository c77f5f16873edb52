import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { redact } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { parseObject } from "../../shared/json-fields.ts";
import { clip } from "../../shared/format.ts";
import type { ServiceAnswer, ServiceRequest, ServiceWork } from "./service-request.ts";

/** Start of the process and load of the packages, in ms. */
const startMs = 1_500;
const answerFd = 3;
const maxAnswerBytes = 1_048_576;
const maxProblemChars = 300;

/**
 * [EX71] [EX72] Work of the configured service in a process of its own, which is killed at the
 * limit: whatever a package or a module of the user does, the caller gets an answer.
 *
 * @param waitMs limit for the work itself
 */
export function runService(
  { launch, env, paths, config }: Pick<Runtime, "launch" | "env" | "paths" | "config">,
  work: ServiceWork,
  waitMs: number,
): ServiceAnswer {
  const request: ServiceRequest = { settings: config.experiments, home: paths.home, work };
  const script = join(dirname(launch.hookScript), "hook-service.cjs");
  const timeout = waitMs + startMs;
  const ended = spawnSync(launch.node, [script], {
    input: JSON.stringify(request),
    stdio: ["pipe", "ignore", "ignore", "pipe"],
    env,
    timeout,
    killSignal: "SIGKILL",
    maxBuffer: maxAnswerBytes,
    windowsHide: true,
  });
  const { error, output } = ended;
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
  const problems = answer["problems"].map((one) => clip(redact(String(one)).text, maxProblemChars));
  return { arms: answer["arms"].map((arm) => (typeof arm === "string" ? arm : null)), problems };
}
