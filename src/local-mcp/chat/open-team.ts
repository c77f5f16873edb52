import { createNaming } from "../team/chat-naming.ts";
import { openLink } from "../../coordinator-client/open-link.ts";
import { ok, type Result } from "../../shared/result.ts";
import { processKey } from "../../coordinator-client/local/process-key.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import { recordDeath } from "../recovery/deaths.ts";
import { isDead } from "../recovery/liveness.ts";
import { recordFinishedTasks } from "../recovery/finished-tasks.ts";
import { RemoteRecovery } from "../recovery/remote-recovery.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { Team, type TeamConnection, type TeamOptions } from "../team/team.ts";

type Connection = Pick<TeamConnection, "openedLink" | "naming">;

/** [TE1] A chat of a client with session ids ends with the client; any other with this process. */
export function openTeam(
  runtime: Runtime,
  server: ProcessIdentity,
  client: () => ProcessIdentity | null,
  platform: Platform = nodePlatform(),
  onSyncHint: (isDeath: boolean) => void = () => undefined,
): Team {
  const open = (): Result<Connection, string> => {
    const opened = openLink(runtime, platform);
    if (!opened.ok) return opened;
    opened.value.link.onSyncHint(onSyncHint);
    return ok({ openedLink: opened.value, naming: createNaming(runtime, opened.value) });
  };
  const processOf: TeamOptions["processOf"] = ({ origin }) =>
    processKey(origin === "handle" ? server : (client() ?? server));
  return createTeam({ runtime, platform, processOf }, open);
}

/** Gives the chats what recovery does for them; the team itself knows nothing of recovery. */
export function createTeam(
  options: Pick<TeamOptions, "runtime" | "platform" | "processOf">,
  open: () => Result<Connection, string>,
): Team {
  const { runtime } = options;
  return new Team({
    ...options,
    open: () => {
      const connection = open();
      if (!connection.ok) return connection;
      const { openedLink, naming } = connection.value;
      const remoteRecovery = new RemoteRecovery(runtime);
      return ok({ openedLink, naming, checkOtherMachines: (id) => remoteRecovery.check(openedLink, id, naming) });
    },
    isDead: (session) => isDead(session, runtime.processes, runtime.now()),
    onCleanedUp: async ({ workspace, link }, died) => {
      // Its cause travels to the other machines with the session.
      for (const id of died) runtime.store.write((sql) => recordDeath(sql, runtime, id));
      await recordFinishedTasks(runtime, workspace, link);
    },
  });
}
