import type { Check, CheckGroup } from "../../contract/machine/checks.ts";
import { pluralize } from "../../shared/format.ts";
import { ok } from "../../shared/result.ts";
import type { Handlers, HostContext } from "./handlers.ts";
import { channelChecks } from "./channel-checks.ts";
import { failedCheck, pass, warn } from "./check.ts";
import { runningHost } from "./host-handlers.ts";
import { machineChecks } from "./machine-checks.ts";
import { storeChecks } from "./store-checks.ts";
import { telemetryChecks } from "./telemetry-check.ts";
import { trustChecks } from "./trust-checks.ts";

type RunGroup = (context: HostContext, folder: string | undefined) => Check[] | Promise<Check[]>;

/** In the order of the answer. */
const groups: Readonly<Record<CheckGroup, RunGroup>> = {
  machine: async (context, folder) =>
    [...machineChecks(context, folder), await orFailed("host", hostCheck(context))].flat(),
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

async function hostCheck(context: HostContext): Promise<Check[]> {
  const asked = await runningHost(context, "GET", "/status");
  if (!asked.ok) return [warn("host", asked.error.message, "Wait for the next message of a chat, or end the process.")];
  const { host } = asked.value;
  const text =
    host === null
      ? "none runs; the next chat starts one"
      : `process ${host.pid} serves ${pluralize(host.chats.filter(({ isConnected }) => isConnected).length, "chat")}`;
  return [pass("host", text)];
}

async function checkStore(context: HostContext): Promise<Check[]> {
  const loaded = await context.loaded();
  const telemetry = await orFailed("telemetry", telemetryChecks(context, loaded.runtime));
  return [...storeChecks(loaded), ...telemetry];
}

function orFailed(name: string, checks: Promise<Check[]>): Promise<Check[]> {
  return checks.catch((error: unknown) => [failedCheck(name, error)]);
}
