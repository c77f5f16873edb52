import { sessionFilesOf } from "../../clients/details.ts";
import { hookClients, type HookClient } from "../../contract/clients.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { ok } from "../../shared/result.ts";
import type { Driver } from "../../store/driver.ts";
import { checkStores, listStored } from "../stores/check-stores.ts";
import type { HandlerContext, Handlers } from "./operation-context.ts";

export const storesHandlers: Pick<Handlers, "stores.check" | "stores.list"> = {
  "stores.check": async (context, { client, keep, folder }) => {
    const { site, paths } = context;
    const deps = {
      env: site.env,
      processes: systemProcesses,
      versionOf: site.versionOf,
      isShared: context.by === "live page",
      now: site.now,
      folder,
      driver: () => driverOf(context),
      keepFolder: paths.kept,
      progress: (name: string, done: number, all: number) => context.passing?.(`${name}: ${done + 1} of ${all}`),
    };
    const checked = await checkStores(deps, { client, keep });
    context.passing?.("");
    return ok(checked);
  },
  "stores.list": async (context, { client }) => {
    const clients = hookClients.filter((one) => client === undefined || one === client);
    const needsDriver = clients.some((one) => sessionFilesOf(one) === null);
    const driver = needsDriver ? await driverOf(context) : null;
    return ok({ sessions: clients.flatMap((one: HookClient) => listStored(context.site.env, one, driver)) });
  },
};

async function driverOf(context: HandlerContext): Promise<Driver> {
  return (await context.runtime()).store.context.driver;
}
