import { clientMs } from "../../contract/hook-limits.ts";
import type { Shell } from "../../platform/shell-line.ts";

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

interface Hooks {
  /** The shell in which the client starts a line on Windows; null: it starts none. */
  readonly windowsShell: Exclude<Shell, "sh"> | null;
}

/** Hooks beside what else the file holds. */
export interface SharedHooks extends Hooks {
  /** In groups, as Claude Code has them. */
  readonly form: "groups";
  readonly handler: (command: string, event: string) => HookHandler;
}

/** A file of hooks that is SHIM's alone. */
export interface OwnHooks extends Hooks {
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

export const plainServers: ServerForm = { key: "mcpServers", entry: (command, args) => ({ command, args }) };

/** @param unit of the client's timeouts, in seconds */
export const settings = (program: string, file: string, windowsShell: Exclude<Shell, "sh">, unit = 1): ClientFiles => ({
  program,
  hooks: {
    file,
    windowsShell,
    form: "groups",
    handler: (command, event) => ({ type: "command", name: "shim", command, timeout: clientMs(event) / 1_000 / unit }),
  },
  servers: { file, ...plainServers },
});

export const millisecond = 0.001;
