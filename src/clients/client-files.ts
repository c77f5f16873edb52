import { dirname, join } from "node:path";
import type { HookClient } from "../contract/clients.ts";
import { hookEvents } from "../contract/hook-input.ts";
import { adapterOf } from "./adapters.ts";
import { copilot } from "./copilot/copilot.ts";

/** How an installer starts the hook program. */
export interface HookLaunch {
  readonly node: string;
  readonly hookScript: string;
  /** Command line for the user's shell. */
  readonly commandOf: (event: string) => string;
}

export interface HookHandler {
  readonly type?: string;
  readonly name?: string;
  readonly command: string;
  /** In the client's own unit. */
  readonly timeout: number;
}

export const jsonExtensions = ["a byte order mark", "comments", "trailing commas"] as const;
export type JsonExtension = (typeof jsonExtensions)[number];

/** How a file of settings lists MCP servers. */
export interface ServerForm {
  readonly key: string;
  entry(command: string, args: readonly string[]): object;
}

/** Hooks beside what else the file holds. */
export interface SharedHooks {
  /** In groups, as Claude Code has them. */
  readonly form: "groups";
  readonly handler: (command: string, event: string) => HookHandler;
}

/** A file of hooks that is SHIM's alone. */
interface OwnHooks {
  readonly form: "own";
  text(launch: HookLaunch): string;
}

/** How the files of one client hold SHIM's entries. */
export interface ClientForm {
  readonly servers: ServerForm;
  /** Absent in Claude Desktop, and of its own in Claude Code: null. */
  readonly hooks: SharedHooks | OwnHooks | null;
  /** All that the client may have hooks for. */
  readonly events: readonly string[];
  /** Extensions of JSON that its parser reads, as far as was tried. */
  readonly reads?: readonly JsonExtension[];
  /** Single tools run without a question by a list in `permissions.allow`, beside the servers. */
  readonly hasRules?: true;
}

/** Files are below the user's home folder. */
export interface ClientFiles extends Omit<ClientForm, "events"> {
  /** Command on the PATH. */
  readonly program: string;
  /** Variable that moves a folder, with what is in it. */
  readonly base?: { readonly variable: string; readonly folder: string };
  readonly hooks: (SharedHooks | OwnHooks) & { readonly file: string };
  readonly servers: ServerForm & { readonly file: string };
  /** SHIM's slash commands, where the client does not show the prompts of a server as such. */
  readonly commands?: string;
}

const plainServers: ServerForm = { key: "mcpServers", entry: (command, args) => ({ command, args }) };

/** @param unit of the client's timeouts, in seconds */
const settings = (program: string, file: string, unit = 1): ClientFiles => ({
  program,
  hooks: {
    file,
    form: "groups",
    handler: (command, event) => ({ type: "command", name: "shim", command, timeout: seconds(event) / unit }),
  },
  servers: { file, ...plainServers },
});

/** A start reads the store and writes the brief. */
function seconds(event: string): number {
  return event === "SessionStart" ? 15 : 10;
}

const millisecond = 0.001;

/** Clients whose files are found in another way, or are a project's, are not here. */
export const clientFiles = {
  codex: {
    program: "codex",
    base: { variable: "CODEX_HOME", folder: ".codex" },
    hooks: {
      file: ".codex/hooks.json",
      form: "groups",
      // Codex cuts a longer one for the end of a session, and says so with each run.
      handler: (command, event) => ({
        type: "command",
        command,
        timeout: event === "SessionEnd" ? 3 : seconds(event),
      }),
    },
    servers: { ...plainServers, file: ".codex/config.toml", key: "mcp_servers" },
    commands: ".codex/skills/shim/SKILL.md",
  },
  copilot: {
    program: "copilot",
    reads: jsonExtensions,
    base: { variable: "COPILOT_HOME", folder: ".copilot" },
    hooks: { file: ".copilot/hooks/shim.json", form: "own", text: copilotHooks },
    servers: {
      file: ".copilot/mcp-config.json",
      key: "mcpServers",
      entry: (command, args) => ({ type: "local", command, args, tools: ["*"] }),
    },
    commands: ".copilot/skills/shim/SKILL.md",
  },
  opencode: {
    program: "opencode",
    reads: jsonExtensions,
    base: { variable: "XDG_CONFIG_HOME", folder: ".config" },
    hooks: { file: ".config/opencode/plugin/shim.js", form: "own", text: openCodePluginFile },
    servers: {
      file: ".config/opencode/opencode.json",
      key: "mcp",
      entry: (command, args) => ({ type: "local", command: [command, ...args], enabled: true }),
    },
  },
  qwen: { ...settings("qwen", ".qwen/settings.json"), reads: ["a byte order mark", "comments"], hasRules: true },
  gemini: {
    ...settings("gemini", ".gemini/settings.json", millisecond),
    reads: ["comments"],
    // Prompts of a server are no commands there (google-gemini/gemini-cli#21077).
    commands: ".gemini/commands/shim.toml",
  },
} satisfies Partial<Record<HookClient, ClientFiles>>;

const claudeForms: Readonly<Record<string, ClientForm>> = {
  "claude-code": {
    servers: { ...plainServers, entry: (command, args) => ({ type: "stdio", command, args }) },
    hooks: null,
    events: hookEvents,
    reads: ["a byte order mark"],
  },
};

export function formOf(client: string): ClientForm {
  const files: Readonly<Record<string, ClientFiles>> = clientFiles;
  const form = files[client];
  if (form) return { ...form, events: adapterOf(client)?.events ?? [] };
  return claudeForms[client] ?? { servers: plainServers, hooks: null, events: [] };
}

function copilotHooks({ commandOf }: HookLaunch): string {
  const hooks = copilot.events.map((event) => {
    const command = commandOf(event);
    return [event, [{ type: "command", bash: command, powershell: command, timeoutSec: seconds(event) }]] as const;
  });
  return `${JSON.stringify({ version: 1, hooks: Object.fromEntries(hooks) }, null, 2)}\n`;
}

/** OpenCode calls every export of the file as a plugin. */
function openCodePluginFile({ node, hookScript }: HookLaunch): string {
  const plugin = join(dirname(hookScript), "opencode-plugin.mjs");
  return `// Written by shim init; shim init --remove removes it.
import { openCodePlugin } from ${JSON.stringify(plugin)};

export const Shim = openCodePlugin(${JSON.stringify([node, hookScript])});
`;
}
