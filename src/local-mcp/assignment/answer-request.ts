/** Work of the process of a service. Its packages are installed only where one is configured. */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Provider } from "@openfeature/server-sdk";
import type { StatsigOptions } from "@statsig/serverless-client";
import { codeOf, messageOf } from "../../shared/error.ts";
import type { SentUnit, ServiceAnswer, ServiceRequest } from "./service.ts";

/** Gets nothing but hashed ids, names and numbers. */
interface Assigner {
  /** @returns null where the unit is not in the experiment */
  readonly choose: (experiment: string, unit: string) => Promise<string | null>;
  readonly send: (experiment: string, unit: SentUnit) => void;
  /** Sends the rest. */
  readonly close: () => Promise<void>;
}

/** Never rejects: what went wrong is in the answer. */
export async function answerRequest(request: ServiceRequest, env: NodeJS.ProcessEnv): Promise<ServiceAnswer> {
  const problems: string[] = [];
  const { work } = request;
  const attempt = async <T>(what: () => Promise<T>): Promise<T | null> => {
    try {
      return await what();
    } catch (error) {
      problems.push(messageOf(error));
      return null;
    }
  };
  const arms = await attempt(async () => {
    const assigner = await loadAssigner(request, env);
    if (work.kind === "choose")
      return Promise.all(work.trials.map(({ name, unit }) => attempt(() => assigner.choose(name, unit))));
    if (work.kind === "send") {
      for (const unit of work.units) assigner.send(work.name, unit);
      await assigner.close();
    }
    return [];
  });
  return { arms: arms ?? [], problems };
}

/** For work that no chat waits for, in ms. */
const patientMs = 8_000;

async function loadAssigner({ settings, home, work }: ServiceRequest, env: NodeJS.ProcessEnv): Promise<Assigner> {
  const { provider, statsigRules, statsigKeyEnv, openFeatureModule } = settings;
  const inHome = createRequire(join(home, "package.json"));
  if (provider === "openfeature") return openFeatureAssigner(inHome, await loadProvider(openFeatureModule, inHome));
  if (provider === "local") throw new Error("experiments.provider is local: no service is configured.");
  if (statsigRules !== null) {
    const path = isAbsolute(statsigRules) ? statsigRules : join(home, statsigRules);
    return statsigAssigner(inHome, { rules: readFileSync(path, "utf8") });
  }
  if (statsigKeyEnv === null) throw new Error("Set experiments.statsigRules or experiments.statsigKeyEnv.");
  const key = env[statsigKeyEnv];
  if (key === undefined || key === "") throw new Error(`The environment has no ${statsigKeyEnv}.`);
  return statsigAssigner(inHome, { key, waitMs: work.kind === "choose" ? settings.waitMs : patientMs });
}

/** [EX26] A package beside the user's settings, else beside SHIM. */
async function loadPackage(inHome: NodeJS.Require, name: string, what: string): Promise<unknown> {
  try {
    // A name that is no literal stays an import at run time in every bundler.
    return await import(resolveIn(inHome, name) ?? name);
  } catch (error) {
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new Error(`${what} needs a package that is not installed: npm install ${name}`, { cause: error });
  }
}

function resolveIn(inHome: NodeJS.Require, name: string): string | null {
  try {
    return pathToFileURL(inHome.resolve(name)).href;
  } catch {
    return null;
  }
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

/** Content of a file of rules (download_config_specs): nothing is sent then; or a key. */
type StatsigSource = { readonly rules: string } | { readonly key: string; readonly waitMs: number };

/** [EX27] The arm of a group is what its parameter `arm` names, else the group's own name. */
async function statsigAssigner(inHome: NodeJS.Require, source: StatsigSource): Promise<Assigner> {
  const loaded = await loadPackage(inHome, "@statsig/serverless-client", "Assignment by Statsig");
  const { StatsigServerlessClient } = loaded as typeof import("@statsig/serverless-client");
  const isLive = "key" in source;
  const offline = { loggingEnabled: "disabled", networkConfig: { preventAllNetworkTraffic: true } } as const;
  const client = isLive
    ? new StatsigServerlessClient(source.key, statsigOptions)
    : new StatsigServerlessClient("client-offline", { ...statsigOptions, ...offline });
  if (isLive) await client.updateAsync({ timeoutMs: source.waitMs });
  else {
    client.dataAdapter.setData(source.rules);
    // Initializing would start the timers of its logger.
    client.updateSync({ disableBackgroundCacheRefresh: true });
  }
  if (client.getContext().values === null) throw new Error("Statsig has no rules.");
  return {
    choose: async (experiment, unit) => {
      const answer = client.getExperiment(experiment, { userID: unit }, { disableExposureLog: true });
      if (answer.__evaluation === null) throw new Error(`Statsig does not know the experiment ${experiment}.`);
      if (answer.__evaluation.is_user_in_experiment !== true) return null;
      return answer.get("arm", answer.groupName ?? "");
    },
    send: (experiment, { unit, measured }) => {
      if (!isLive) return;
      client.getExperiment(experiment, { userID: unit });
      for (const [metric, value] of Object.entries(measured))
        client.logEvent(metric, { userID: unit }, value, { experiment });
    },
    close: () => client.shutdown(),
  };
}

/** A provider of its own for SHIM, apart from those of other parts of the program. */
const domain = "shim";

/**
 * [EX28] OpenFeature has providers for Flagship, Unleash, GrowthBook and others. A string flag with
 * the experiment's name gives the name of the arm; any other value: the unit is not in it.
 */
async function openFeatureAssigner(inHome: NodeJS.Require, provider: Provider): Promise<Assigner> {
  const loaded = await loadPackage(inHome, "@openfeature/server-sdk", "Assignment by OpenFeature");
  const { OpenFeature } = loaded as typeof import("@openfeature/server-sdk");
  await OpenFeature.setProviderAndWait(domain, provider);
  const client = OpenFeature.getClient(domain);
  return {
    choose: async (experiment, unit) => {
      const { value, errorCode } = await client.getStringDetails(experiment, "", { targetingKey: unit });
      if (errorCode !== undefined) throw new Error(`The provider cannot answer for ${experiment}: ${errorCode}.`);
      return value;
    },
    send: (experiment, { unit, arm, measured }) => {
      client.track("exposure", { targetingKey: unit }, { experiment, arm });
      for (const [metric, value] of Object.entries(measured))
        client.track(metric, { targetingKey: unit }, { experiment, value });
    },
    // Providers send by themselves, and the rest at their end.
    close: async () => provider.onClose?.(),
  };
}

/** [EX72] A module that the user's own settings name; nothing is resolved from a project. */
async function loadProvider(name: string | null, inHome: NodeJS.Require): Promise<Provider> {
  if (name === null) throw new Error("Set experiments.openFeatureModule.");
  const loaded = (await import(pathToFileURL(inHome.resolve(name)).href)) as { readonly default?: unknown };
  const made: unknown =
    typeof loaded.default === "function" ? await (loaded.default as () => unknown)() : loaded.default;
  if (!isProvider(made)) throw new Error(`The default export of ${name} is no OpenFeature provider.`);
  return made;
}

function isProvider(value: unknown): value is Provider {
  return typeof value === "object" && value !== null && "resolveStringEvaluation" in value;
}
