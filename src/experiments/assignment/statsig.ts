/**
 * Assignment by Statsig, from a file of rules or live with a key. The arm of an experiment's group
 * is the one that its parameter `arm` names, else the one with the group's own name.
 */
import type { StatsigOptions, StatsigServerlessClient } from "@statsig/serverless-client";
import type { Name, Unit } from "./names.ts";
import { loadPackage, type ResolvePackage } from "./optional-package.ts";
import type { Assigner } from "./port.ts";

export type StatsigSource =
  /** Content of a file of rules (download_config_specs); nothing is sent. */
  | { readonly kind: "rules"; readonly rules: string }
  /** Rules are read once, at the start. */
  | { readonly kind: "live"; readonly key: string; readonly waitMs: number };

type Package = typeof import("@statsig/serverless-client");

const common: StatsigOptions = {
  // Its log goes to the console, which in some processes is the protocol.
  logLevel: 0,
  disableStorage: true,
  disableStableID: true,
  // The requests stay readable.
  disableStatsigEncoding: true,
  disableCompression: true,
};

/**
 * @throws {MissingPackage} where `@statsig/serverless-client` is not installed
 * @throws {Error} for rules that Statsig cannot read, or a service that has not sent any
 */
export async function statsigAssigner(source: StatsigSource, resolve?: ResolvePackage): Promise<Assigner> {
  const loaded = (await loadPackage("@statsig/serverless-client", "Assignment by Statsig", resolve)) as Package;
  return source.kind === "rules" ? offlineAssigner(loaded, source.rules) : liveAssigner(loaded, source);
}

function offlineAssigner(loaded: Package, rules: string): Assigner {
  const client = new loaded.StatsigServerlessClient("client-offline", {
    ...common,
    loggingEnabled: "disabled",
    networkConfig: { preventAllNetworkTraffic: true },
  });
  client.dataAdapter.setData(rules);
  // Initializing would start the timers of its logger.
  client.updateSync({ disableBackgroundCacheRefresh: true });
  requireRules(client);
  return {
    choose: async ({ name, arms }, unit) => findArm(client, name, arms, unit),
    expose: async () => {},
    record: async () => {},
    flush: async () => {},
  };
}

async function liveAssigner(
  loaded: Package,
  { key, waitMs }: Extract<StatsigSource, { kind: "live" }>,
): Promise<Assigner> {
  let client = new loaded.StatsigServerlessClient(key, common);
  await client.updateAsync({ timeoutMs: waitMs });
  const rules = JSON.stringify(requireRules(client));
  return {
    choose: async ({ name, arms }, unit) => findArm(client, name, arms, unit),
    expose: async ({ experiment, unit }) => void client.getExperiment(experiment, { userID: unit }),
    record: async ({ experiment, unit, metric, value }) => {
      client.logEvent(metric, { userID: unit }, value, { experiment });
    },
    flush: async () => {
      // A client that only flushes keeps its process alive by timers.
      const full = client;
      client = new loaded.StatsigServerlessClient(key, common);
      client.dataAdapter.setData(rules);
      client.updateSync({ disableBackgroundCacheRefresh: true });
      await full.shutdown();
    },
  };
}

function requireRules(client: StatsigServerlessClient): object {
  const { values } = client.getContext();
  if (values === null) throw new Error("Statsig has no rules.");
  return values;
}

function findArm(
  client: StatsigServerlessClient,
  experiment: Name,
  arms: readonly { readonly name: Name }[],
  unit: Unit,
): Name | null {
  const answer = client.getExperiment(experiment, { userID: unit }, { disableExposureLog: true });
  if (answer.__evaluation === null) throw new Error(`Statsig does not know the experiment ${experiment}.`);
  if (answer.__evaluation.is_user_in_experiment !== true) return null;
  const group = answer.get("arm", answer.groupName ?? "");
  return arms.find(({ name }) => name === group)?.name ?? null;
}
