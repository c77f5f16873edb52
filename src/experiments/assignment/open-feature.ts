/**
 * Assignment by OpenFeature, whose providers cover Flagship, Unleash, GrowthBook and others. A
 * string flag with the experiment's name gives the name of the arm; any other value means that the
 * unit is not in the experiment.
 */
import type { Client, Provider } from "@openfeature/server-sdk";
import { loadPackage, type ResolvePackage } from "./optional-package.ts";
import type { Assigner } from "./port.ts";

/** A provider of its own for SHIM, apart from those of other parts of the program. */
const domain = "shim";

/**
 * @throws {MissingPackage} where `@openfeature/server-sdk` is not installed
 * @throws {Error} for a provider that does not get ready
 */
export async function openFeatureAssigner(provider: Provider, resolve?: ResolvePackage): Promise<Assigner> {
  const loaded = await loadPackage("@openfeature/server-sdk", "Assignment by OpenFeature", resolve);
  const { OpenFeature } = loaded as typeof import("@openfeature/server-sdk");
  await OpenFeature.setProviderAndWait(domain, provider);
  return { ...assignerOf(OpenFeature.getClient(domain)), close: async () => provider.onClose?.() };
}

function assignerOf(client: Client): Assigner {
  return {
    choose: async ({ name, arms }, unit) => {
      const { value, errorCode } = await client.getStringDetails(name, "", { targetingKey: unit });
      if (errorCode !== undefined) throw new Error(`The provider cannot answer for ${name}: ${errorCode}.`);
      return arms.find((arm) => arm.name === value)?.name ?? null;
    },
    expose: async ({ experiment, unit, arm }) => {
      client.track("exposure", { targetingKey: unit }, { experiment, arm });
    },
    record: async ({ experiment, unit, metric, value }) => {
      client.track(metric, { targetingKey: unit }, { experiment, value });
    },
    // Providers send by themselves, and the rest at their end; the standard has nothing to flush.
    flush: async () => {},
  };
}
