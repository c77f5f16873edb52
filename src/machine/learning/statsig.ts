/** Work of the process of a service. Its package is installed only where it is configured. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { StatsigServerlessClient } from "@statsig/serverless-client";
import { codeOf, messageOf } from "../../shared/error.ts";
import type { ServiceAnswer, ServiceRequest } from "./assignment-service.ts";

/** Never rejects: what went wrong is in the answer. */
export async function answerRequest(request: ServiceRequest, env: NodeJS.ProcessEnv): Promise<ServiceAnswer> {
  const problems: string[] = [];
  try {
    const client = await startStatsig(request, env);
    return { arms: request.trials.map((trial) => armOf(client, trial, problems)), problems };
  } catch (error) {
    return { arms: [], problems: [...problems, messageOf(error)] };
  }
}

/** From a file of rules (download_config_specs), or by a key. Nothing of a session is sent. */
async function startStatsig(
  { settings, home }: ServiceRequest,
  env: NodeJS.ProcessEnv,
): Promise<StatsigServerlessClient> {
  const { statsigRules, statsigKeyEnv, waitMs } = settings;
  if (statsigRules === null && statsigKeyEnv === null)
    throw new Error("Set experiments.statsigRules or experiments.statsigKeyEnv.");
  const key = statsigRules === null ? (env[statsigKeyEnv ?? ""] ?? "") : "client-offline";
  if (key === "") throw new Error(`The environment has no ${statsigKeyEnv}.`);
  const rules = statsigRules === null ? null : readFileSync(resolve(home, statsigRules), "utf8");
  const { StatsigServerlessClient: Client } = await loadStatsig(home);
  const client = new Client(key, {
    // Its log goes to the console, which in some processes is the protocol.
    logLevel: 0,
    disableStorage: true,
    disableStableID: true,
    loggingEnabled: "disabled",
    networkConfig: { preventAllNetworkTraffic: rules !== null },
  });
  if (rules === null) await client.updateAsync({ timeoutMs: waitMs });
  else {
    client.dataAdapter.setData(rules);
    // Initializing would start the timers of its logger.
    client.updateSync({ disableBackgroundCacheRefresh: true });
  }
  if (client.getContext().values === null) throw new Error("Statsig has no rules.");
  return client;
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

/** Arm that the group's parameter `arm` names, else its own name; null: the unit is not in it. */
function armOf(
  client: StatsigServerlessClient,
  { name, unit }: ServiceRequest["trials"][number],
  problems: string[],
): string | null {
  const answer = client.getExperiment(name, { userID: unit }, { disableExposureLog: true });
  if (answer.__evaluation === null) problems.push(`Statsig does not know the experiment ${name}.`);
  return answer.__evaluation?.is_user_in_experiment === true ? answer.get("arm", answer.groupName ?? "") : null;
}
