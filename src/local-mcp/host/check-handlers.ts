import type { Check, CheckGroup } from "../../contract/machine/checks.ts";
import { ok } from "../../shared/result.ts";
import type { Handlers, HostContext } from "./handlers.ts";
import { channelChecks } from "./channel-checks.ts";
import { failedCheck } from "./check.ts";
import { machineChecks } from "./machine-checks.ts";
import { storeChecks } from "./store-checks.ts";
import { telemetryChecks } from "./telemetry-check.ts";
import { trustChecks } from "./trust-checks.ts";

type RunGroup = (context: HostContext, folder: string | undefined) => Check[] | Promise<Check[]>;

/** In the order of the answer. */
const groups: Readonly<Record<CheckGroup, RunGroup>> = {
  machine: machineChecks,
  notifications: (context) => orFailed("notifications", channelChecks(context)),
  trust: trustChecks,
  store: (context) => orFailed("store", checkStore(context)),
};

export const checkHandlers: Handlers<"checks.run"> = {
  async "checks.run"(context, { group, folder }) {
    const checks: Check[] = [];
    for (const run of group ? [groups[group]] : Object.values(groups)) checks.push(...(await run(context, folder)));
    return ok({ isHealthy: !checks.some(({ state }) => state === "fail"), checks });
  },
};

async function checkStore(context: HostContext): Promise<Check[]> {
  const loaded = await context.loaded();
  const telemetry = await orFailed("telemetry", telemetryChecks(context, loaded.runtime));
  return [...storeChecks(loaded), ...telemetry];
}

function orFailed(name: string, checks: Promise<Check[]>): Promise<Check[]> {
  return checks.catch((error: unknown) => [failedCheck(name, error)]);
}
