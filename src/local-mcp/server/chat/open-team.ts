import { createNaming } from "../../team/chat-naming.ts";
import { openLink } from "../../../coordinator-client/open-link.ts";
import { ok } from "../../../shared/result.ts";
import { processKey } from "../../../coordinator-client/local/process-key.ts";
import type { Platform } from "../../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../../coordinator-client/edge/node-platform.ts";
import type { ProcessIdentity } from "../../../platform/processes.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { Team } from "../../team/team.ts";
import { RemoteRecovery } from "../../recovery/remote-recovery.ts";

/** [TE1] A chat of a client with session ids ends with the client; any other with this process. */
export function openTeam(
  runtime: Runtime,
  server: ProcessIdentity,
  client: () => ProcessIdentity | null,
  platform: Platform = nodePlatform(),
): Team {
  return new Team({
    runtime,
    platform,
    processOf: ({ origin }) => processKey(origin === "handle" ? server : (client() ?? server)),
    open: () => {
      const opened = openLink(runtime, platform);
      if (!opened.ok) return opened;
      const naming = createNaming(runtime, opened.value);
      return ok({ openedLink: opened.value, naming, remoteRecovery: new RemoteRecovery(runtime) });
    },
  });
}
