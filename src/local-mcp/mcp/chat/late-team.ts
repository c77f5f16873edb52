import type { OpenedLink } from "../../../coordinator-client/client.ts";
import type { ProcessIdentity } from "../../../platform/processes.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import type { Team } from "../../../machine/team/team.ts";

export interface ChatTeam extends Pick<Team, "chatFor" | "follow" | "end"> {
  reader(): OpenedLink | null | Promise<OpenedLink | null>;
}

/** The part of a team that the host needs for its machine. */
export type LoadedTeam = Pick<Team, "watches" | "onPulled">;

export interface LateTeam extends ChatTeam {
  /** The team itself; null until its code is loaded. */
  readonly loaded: LoadedTeam | null;
}

/** Loads the team's code, most of the program, on demand: the client waits for an answer. */
export function lateTeam(
  runtime: Runtime,
  server: ProcessIdentity,
  client: () => ProcessIdentity | null,
  onSyncHint: (isDeath: boolean) => void = () => undefined,
): LateTeam | null {
  // The worker is the member in the run of a task.
  if (!runtime.config.team.isEnabled || runtime.env["SHIM_TASK"]) return null;
  let loading: Promise<Team> | null = null;
  let loaded: Team | null = null;
  const load = (): Promise<Team> =>
    (loading ??= import("./open-team.ts").then(
      ({ openTeam }) => (loaded = openTeam(runtime, server, client, undefined, onSyncHint)),
    ));
  return {
    get loaded() {
      return loaded;
    },
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
