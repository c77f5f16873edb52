/** Work of the process of a service. Its package is installed only where it is configured. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { StatsigOptions, StatsigServerlessClient } from "@statsig/serverless-client";
import { codeOf, messageOf } from "../../shared/error.ts";
import type { ServiceAnswer, ServiceRequest } from "./assignment-service.ts";

/** For work that no chat waits for, in ms. */
const patientMs = 8_000;

/** Never rejects: what went wrong is in the answer. */
export async function answerRequest(request: ServiceRequest, env: NodeJS.ProcessEnv): Promise<ServiceAnswer> {
  const problems: string[] = [];
  const { work } = request;
  try {
    const { client, isLive } = await startStatsig(request, env);
    if (work.kind === "choose") return { arms: work.trials.map((trial) => armOf(client, trial, problems)), problems };
    // A file of rules has no receiver.
    if (isLive) {
      for (const { unit, measured } of work.units) {
        client.getExperiment(work.name, { userID: unit });
        for (const [metric, value] of Object.entries(measured))
          client.logEvent(metric, { userID: unit }, value, { experiment: work.name });
      }
      await client.shutdown();
    }
  } catch (error) {
    problems.push(messageOf(error));
  }
  return { arms: [], problems };
}

const statsigOptions: StatsigOptions = {
  // Its log goes to the console, which in some processes is the protocol.
  logLevel: 0,
  disableStorage: true,
  disableStableID: true,
  // The requests stay readable.
  disableStatsigEncoding: true,
  disableCompression: true,
};

/** From a file of rules (download_config_specs), when nothing is sent; or with a key. */
async function startStatsig(
  { settings, home, work }: ServiceRequest,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly client: StatsigServerlessClient; readonly isLive: boolean }> {
  const { statsigRules, statsigKeyEnv, waitMs } = settings;
  const isLive = statsigRules === null;
  if (isLive && statsigKeyEnv === null) throw new Error("Set experiments.statsigRules or experiments.statsigKeyEnv.");
  const key = env[statsigKeyEnv ?? ""] ?? "";
  if (isLive && key === "") throw new Error(`The environment has no ${statsigKeyEnv}.`);
  const rules = isLive ? "" : readFileSync(isAbsolute(statsigRules) ? statsigRules : join(home, statsigRules), "utf8");
  const { StatsigServerlessClient: Client } = await loadStatsig(home);
  const offline = { loggingEnabled: "disabled", networkConfig: { preventAllNetworkTraffic: true } } as const;
  const client = isLive
    ? new Client(key, statsigOptions)
    : new Client("client-offline", { ...statsigOptions, ...offline });
  if (isLive) await client.updateAsync({ timeoutMs: work.kind === "choose" ? waitMs : patientMs });
  else {
    client.dataAdapter.setData(rules);
    // Initializing would start the timers of its logger.
    client.updateSync({ disableBackgroundCacheRefresh: true });
  }
  if (client.getContext().values === null) throw new Error("Statsig has no rules.");
  return { client, isLive };
}

/** The package in SHIM's folder, else beside SHIM; nothing comes from a project. */
async function loadStatsig(home: string): Promise<typeof import("@statsig/serverless-client")> {
  // A name that is no literal stays an import at run time in every bundler.
  let name = "@statsig/serverless-client";
  try {
    name = pathToFileURL(createRequire(join(home, "package.json")).resolve(name)).href;
  } catch {
    // Not in SHIM's folder.
  }
  try {
    return (await import(name)) as typeof import("@statsig/serverless-client");
  } catch (error) {
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND") throw error;
    const missing =
      "Assignment by Statsig needs a package that is not installed: npm install @statsig/serverless-client";
    throw new Error(missing, { cause: error });
  }
}

interface AskedTrial {
  readonly name: string;
  readonly unit: string;
}

/** Arm that the group's parameter `arm` names, else its own name; null: the unit is not in it. */
function armOf(client: StatsigServerlessClient, { name, unit }: AskedTrial, problems: string[]): string | null {
  const answer = client.getExperiment(name, { userID: unit }, { disableExposureLog: true });
  if (answer.__evaluation === null) problems.push(`Statsig does not know the experiment ${name}.`);
  return answer.__evaluation?.is_user_in_experiment === true ? answer.get("arm", answer.groupName ?? "") : null;
}
