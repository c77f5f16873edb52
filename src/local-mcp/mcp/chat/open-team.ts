import { nodePlatform, type Platform } from "../../../coordinator-client/edge/platform.ts";
import { processKey } from "../../../coordinator-client/local/process-key.ts";
import { openLink } from "../../../coordinator-client/client.ts";
import type { ProcessIdentity } from "../../../platform/processes.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { reachFrom } from "../../../machine/recovery/elsewhere/candidates.ts";
import { WatchElsewhere } from "../../../machine/recovery/watch.ts";
import type { TeamOptions } from "../../../machine/team/team-chat.ts";
import { Team } from "../../../machine/team/team.ts";

type OwnOptions = Pick<TeamOptions, "runtime" | "platform" | "processOf"> & Partial<Pick<TeamOptions, "onSyncHint">>;

/** A chat of a client with session ids ends with the client; any other with this process. */
export function openTeam(
  runtime: Runtime,
  server: ProcessIdentity,
  client: () => ProcessIdentity | null,
  platform: Platform = nodePlatform(),
  onSyncHint: (isDeath: boolean) => void = () => undefined,
): Team {
  const processOf: TeamOptions["processOf"] = ({ origin, owner }) =>
    processKey((origin === "handle" ? owner : client()) ?? server);
  return createTeam({ runtime, platform, processOf, onSyncHint }, () => openLink(runtime, platform));
}

/** Gives the chats what recovery does for them with the sessions of other machines. */
export function createTeam(options: OwnOptions, open: TeamOptions["open"]): Team {
  const { runtime } = options;
  return new Team({
    onSyncHint: () => undefined,
    ...options,
    open,
    otherMachines: (openedLink) => {
      const watch = new WatchElsewhere();
      return async (id) => {
        const reach = reachFrom(runtime, openedLink, id);
        if (reach) await watch.check(reach);
      };
    },
  });
}
