import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { mayJoinTeam } from "../team/may-join.ts";
import type { Team } from "../team/team.ts";

/** What a chat needs of its team. */
export interface ChatTeam extends Pick<Team, "chatFor" | "follow" | "end"> {
  reader(): OpenedLink | null | Promise<OpenedLink | null>;
}

/**
 * The team of one process, loaded when a chat first needs it: most of the program is the team's, and a client that starts a server waits for
 * its first answer. Null where the chat may join none.
 */
export function lateTeam(
  runtime: Runtime,
  server: ProcessIdentity,
  client: () => ProcessIdentity | null,
): ChatTeam | null {
  if (!mayJoinTeam(runtime)) return null;
  let loading: Promise<Team> | null = null;
  const load = (): Promise<Team> =>
    (loading ??= import("./open-team.ts").then(({ openTeam }) => openTeam(runtime, server, client)));
  return {
    chatFor: async (session) => (await load()).chatFor(session),
    follow: async (session) => {
      if (loading !== null || session !== null) await (await load()).follow(session);
    },
    reader: async () => (await load()).reader(),
    end: async (ending) => {
      if (loading !== null) await (await loading).end(ending);
    },
  };
}
