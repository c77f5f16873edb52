import { posix, win32 } from "node:path";
import { titleOf } from "../clients/adapters.ts";
import type { ClientFiles } from "../clients/adapter/client-form.ts";
import { clientFiles } from "../clients/details.ts";
import { hookClients, type HookClient } from "../contract/clients.ts";

export const clientNames = ["claude-desktop", ...hookClients] as const;
export type ClientName = (typeof clientNames)[number];

/** Installed client and its settings files, which may not exist yet. */
export interface ClientTarget {
  readonly client: ClientName;
  readonly platform: NodeJS.Platform;
  readonly label: string;
  readonly serversFile: string;
  /** File with hooks, and for Claude Code the status line; null where the client has no hooks. */
  readonly settingsFile: string | null;
  /** SHIM's slash commands; absent: the client shows the server's prompts as such. */
  readonly commandsFile?: string;
}

/** Machine facts for `detect`. Paths are of the given platform, whatever system runs this. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homedir: string;
  readonly exists: (path: string) => boolean;
  readonly list: (folder: string) => readonly string[];
}

/** A machine can have several Claude Desktops. */
export function detect(machine: Machine): ClientTarget[] {
  const ofFiles = hookClients.map((client) => fileTarget(machine, client, clientFiles[client]));
  const others = [claudeCodeTarget(machine), ...ofFiles];
  return [...desktopTargets(machine), ...others.filter((target) => target !== null)];
}

function desktopTargets(machine: Machine): ClientTarget[] {
  const { platform, exists } = machine;
  return desktopFolders(machine)
    .filter(([, folder]) => exists(folder))
    .map(([label, folder]) => ({
      client: "claude-desktop",
      platform,
      label,
      serversFile: pathOf(platform).join(folder, "claude_desktop_config.json"),
      settingsFile: null,
    }));
}

type LabelledFolder = readonly [label: string, folder: string];

function desktopFolders(machine: Machine): LabelledFolder[] {
  const { env, homedir, platform } = machine;
  const label = "Claude Desktop";
  if (platform === "darwin") return [[label, posix.join(homedir, "Library", "Application Support", "Claude")]];
  if (platform === "win32") return windowsFolders(machine);
  return [[label, posix.join(env["XDG_CONFIG_HOME"] || posix.join(homedir, ".config"), "Claude")]];
}

/** The Store's package has its own data folder, and its newer versions another. */
function windowsFolders({ env, homedir, list }: Machine): LabelledFolder[] {
  const roaming = env["APPDATA"] || win32.join(homedir, "AppData", "Roaming");
  const local = env["LOCALAPPDATA"] || win32.join(homedir, "AppData", "Local");
  const ofStore = (folder: string, ...inner: string[]): LabelledFolder[] =>
    list(folder)
      .filter((name) => name.toLowerCase().startsWith("claude_"))
      .map((name) => ["Claude Desktop (Microsoft Store)", win32.join(folder, name, ...inner)]);
  return [
    ["Claude Desktop", win32.join(roaming, "Claude")],
    ...ofStore(win32.join(local, "Packages"), "LocalCache", "Roaming", "Claude"),
    ...ofStore(win32.join(local, "Claude-Data")),
  ];
}

/** `CLAUDE_CONFIG_DIR` moves everything, also the server file, which is usually outside it. */
function claudeCodeTarget(machine: Machine): ClientTarget | null {
  const path = pathOf(machine.platform);
  const moved = machine.env["CLAUDE_CONFIG_DIR"];
  const folder = moved || path.join(machine.homedir, ".claude");
  const current = path.join(moved || machine.homedir, ".claude.json");
  // Claude Code still prefers this file of its first versions where it exists.
  const first = path.join(folder, ".config.json");
  const isInstalled = [folder, current].some(machine.exists) || isOnPath(machine, "claude");
  if (!isInstalled) return null;
  return {
    client: "claude-code",
    platform: machine.platform,
    label: "Claude Code",
    serversFile: machine.exists(first) ? first : current,
    settingsFile: path.join(folder, "settings.json"),
  };
}

function fileTarget(machine: Machine, client: HookClient, files: ClientFiles | undefined): ClientTarget | null {
  if (files === undefined) return null;
  const settingsFile = fileOf(machine, files, files.hooks.file);
  const serversFile = fileOf(machine, files, files.servers.file);
  const folder = fileOf(machine, files, files.hooks.file.split("/").slice(0, -1).join("/"));
  const path = pathOf(machine.platform);
  const isThere = [path.dirname(serversFile), folder].some(machine.exists) || isOnPath(machine, files.program);
  if (!isThere) return null;
  const label = titleOf(client);
  const commands = files.commands === undefined ? {} : { commandsFile: fileOf(machine, files, files.commands) };
  return { client, platform: machine.platform, label, serversFile, settingsFile, ...commands };
}

function fileOf({ platform, env, homedir }: Machine, { base }: ClientFiles, file: string): string {
  const moved = base && env[base.variable];
  return moved
    ? pathOf(platform).join(moved, ...file.slice(base.folder.length + 1).split("/"))
    : pathOf(platform).join(homedir, ...file.split("/"));
}

function isOnPath(machine: Machine, name: string): boolean {
  const path = pathOf(machine.platform);
  const names = machine.platform === "win32" ? [`${name}.exe`, `${name}.cmd`] : [name];
  const search = machine.env["PATH"] ?? machine.env["Path"] ?? "";
  const folders = search.split(path.delimiter).filter((folder) => folder !== "");
  return folders.some((folder) => names.some((file) => machine.exists(path.join(folder, file))));
}

export function pathOf(platform: NodeJS.Platform): typeof posix {
  return platform === "win32" ? win32 : posix;
}
