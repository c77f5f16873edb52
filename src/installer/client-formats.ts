import { adapterOf } from "../clients/adapters.ts";
import { clientFiles, type ClientFiles, type JsonExtension } from "../clients/client-files.ts";
import { codex } from "../clients/codex.ts";
import { keyedRules, listedRules, type AllowRules } from "./allow-rules.ts";
import { groupedHooks, listedHooks, ownHooks, type HookList } from "./hook-lists.ts";
import { jsonServers, tomlServers, type ServerList } from "./server-lists.ts";
import type { Handler } from "./settings-edits.ts";
import type { ClientName } from "./targets.ts";

/** How the files of one client hold SHIM's entries. */
export interface ClientFormat {
  readonly servers: ServerList;
  /** Absent in Claude Desktop, and different in Claude Code: null. */
  readonly hooks: HookList | null;
  /** [IN91] In the servers' file, in Claude Code in its settings; null: its files take none. */
  readonly rules: AllowRules | null;
  /** Extensions of JSON that its parser reads. */
  readonly reads: readonly JsonExtension[];
}

export function formatOf(client: ClientName): ClientFormat {
  return own[client] ?? formatOfFiles(client);
}

const own: Partial<Record<ClientName, ClientFormat>> = {
  "claude-desktop": { servers: jsonServers(), hooks: null, rules: null, reads: [] },
  "claude-code": {
    servers: jsonServers({ entry: (command, args) => ({ type: "stdio", command, args }) }),
    hooks: null,
    rules: listedRules,
    reads: ["a byte order mark"],
  },
  codex: {
    servers: tomlServers,
    // By its tools' annotations Codex asks before none of the harmless ones.
    rules: null,
    reads: [],
    hooks: groupedHooks(codex.name, codex.events, (command, event) => ({
      type: "command",
      command,
      timeout: codexTimeouts[event] ?? 10,
    })),
  },
};

/** Seconds. Codex cuts longer ones for the end of a session, and says so with each run. */
const codexTimeouts: Readonly<Record<string, number>> = { SessionStart: 15, SessionEnd: 3 };

function formatOfFiles(client: ClientName): ClientFormat {
  const adapter = adapterOf(client);
  const files = adapter && clientFiles[adapter.name];
  if (!adapter || !files?.servers) throw new Error(`nothing is known of the files of ${client}`);
  const hooks = hooksOf(adapter.name, adapter.events, files.hooks);
  const rules = files.rules === undefined ? null : { list: listedRules, keys: keyedRules }[files.rules];
  return { servers: jsonServers(files.servers), hooks, rules, reads: files.reads ?? [] };
}

function hooksOf(client: string, events: readonly string[], hooks: ClientFiles["hooks"]): HookList {
  if (hooks.form === "own") return ownHooks(client, events, hooks);
  const handler = (command: string, event: string): Handler => hooks.handler(command, event);
  return hooks.form === "list" ? listedHooks(client, events, handler) : groupedHooks(client, events, handler);
}
