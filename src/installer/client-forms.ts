import { adapterOf } from "../clients/adapters.ts";
import { clientFiles, plainServers, type ClientFiles, type ServerForm } from "../clients/client-files.ts";
import { hookEvents } from "../contract/hook-input.ts";
import { isRecord, type JsonObject } from "../shared/json-fields.ts";
import { objectAt } from "./settings.ts";
import type { ClientName } from "./targets.ts";

/** How the files of one client hold SHIM's entries. */
export interface ClientForm extends Pick<ClientFiles, "reads" | "rules"> {
  readonly servers: ServerForm;
  /** Absent in Claude Desktop, and of its own in Claude Code: null. */
  readonly hooks: ClientFiles["hooks"] | null;
  /** All that the client may have hooks for. */
  readonly events: readonly string[];
}

const claudeCode: ClientForm = {
  servers: { ...plainServers, entry: (command, args) => ({ type: "stdio", command, args }) },
  hooks: null,
  events: hookEvents,
  // Rules of its settings.
  rules: "list",
  reads: ["a byte order mark"],
};

export function formOf(client: ClientName): ClientForm {
  if (client === "claude-code") return claudeCode;
  if (client === "claude-desktop") return { servers: plainServers, hooks: null, events: [] };
  return { ...clientFiles[client], events: adapterOf(client)?.events ?? [] };
}

/** Finds what SHIM cannot add its entries to, in words. */
export function shapeProblemOf(client: ClientName): (root: JsonObject) => string | null {
  const { servers, events } = formOf(client);
  return (root) => {
    const key = [servers.key, "hooks", "env"].find((name) => root[name] !== undefined && !isRecord(root[name]));
    const hooks = objectAt(root, ["hooks"]);
    const event = events.find((name) => hooks[name] !== undefined && !Array.isArray(hooks[name]));
    const wrong = key ?? (event === undefined ? null : `hooks.${event}`);
    return wrong && `has an unexpected "${wrong}"`;
  };
}
