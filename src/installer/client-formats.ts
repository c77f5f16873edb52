import { codex } from "../clients/codex.ts";
import { shellWord, type Launch } from "../platform/launch.ts";
import { jsonServers, tomlServers, type ServerList } from "./server-lists.ts";
import type { Handler } from "./settings-edits.ts";
import type { ClientName } from "./targets.ts";

/** How the files of one client hold SHIM's entries. */
export interface ClientFormat {
  readonly servers: ServerList;
  /** Hooks that are one process for each event; null: the client has none, or is Claude Code. */
  readonly hooks: ProcessHooks | null;
}

export interface ProcessHooks {
  readonly events: readonly string[];
  handler(launch: Launch, platform: NodeJS.Platform, event: string): Handler;
}

export function formatOf(client: ClientName): ClientFormat {
  return formats[client];
}

const formats: Readonly<Record<ClientName, ClientFormat>> = {
  "claude-desktop": { servers: jsonServers(), hooks: null },
  "claude-code": { servers: jsonServers({ type: "stdio" }), hooks: null },
  codex: {
    servers: tomlServers,
    hooks: {
      events: codex.events,
      handler: (launch, platform, event) => ({
        command: shellCommand(launch, platform, [event, "--client", codex.name]),
        timeout: codexTimeouts[event] ?? 10,
      }),
    },
  },
};

/** Seconds. Codex cuts longer ones for the end of a session, and says so with each run. */
const codexTimeouts: Readonly<Record<string, number>> = { SessionStart: 15, SessionEnd: 3 };

function shellCommand({ node, hookScript }: Launch, platform: NodeJS.Platform, args: readonly string[]): string {
  const word = platform === "win32" ? (text: string): string => `"${text}"` : shellWord;
  return [word(node), word(hookScript), ...args].join(" ");
}
