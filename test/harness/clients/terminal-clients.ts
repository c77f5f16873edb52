import { join } from "node:path";
import { cleanEnv, skipFirstRunDialogs } from "#harness/claude/claude-code.ts";
import type { ScriptedModel, ToolCall } from "#harness/claude/scripted-model.ts";
import { CLAUDE_VERSION, claudeBinary } from "../../../scripts/install-claude.ts";
import { programOf } from "../../../scripts/install-clients.ts";
import type { ChatRig } from "./chat-rig.ts";
import { codex, copilot, environmentOf, gemini, opencode, qwen, type RealClient } from "./real-clients.ts";

/** The machine on which a client runs, and the model that it talks to. */
export type Place = Pick<ChatRig, "home" | "paths" | "project"> & { readonly model: Pick<ScriptedModel, "url"> };

/** A client as a person uses it: in a terminal, asking before it runs a command that it does not know. */
export interface TerminalClient {
  /** As `shim init` names it. */
  readonly name: string;
  /** What `--version` prints. */
  readonly version: string;
  /** Program with the arguments of every start. */
  readonly command: () => readonly string[];
  /** How a terminal starts it; without it by that. */
  readonly start?: () => readonly string[];
  readonly env: (place: Place) => Record<string, string>;
  /** Texts of files below the home, as they are before `shim init`. */
  readonly files: (place: Place) => Readonly<Record<string, string>>;
  /** SHIM's folder, from the home; without it a folder beside the home. */
  readonly shimHome?: string;
  /** Folder of the machine; without it that of temporary files. */
  readonly folder?: string;
  /** Path below the home of the file that names SHIM's MCP server. */
  readonly servers: string;
  /** On the screen when a prompt can be typed. */
  readonly ready: string;
  /** Typed to leave the client. */
  readonly exit: string;
  /** On the screen when the client asks for leave to run a command. */
  readonly asks: string | RegExp;
  /** `echo` and `tail` run without leave: a `sleep` that is not in the background is refused by some clients. */
  readonly shell: (command: string) => ToolCall;
  /** A command for which the client asks. */
  readonly asking: (command: string) => ToolCall;
  readonly write: (path: string, content: string) => ToolCall;
}

type Own = Pick<TerminalClient, "servers" | "ready" | "exit" | "asks" | "write"> &
  Partial<Pick<TerminalClient, "files" | "asking" | "folder">> & { readonly flags?: readonly string[] };

function inTerminal(client: RealClient, { flags = [], ...own }: Own): TerminalClient {
  const { name, pinned, shimHome } = client;
  const shell = (command: string): ToolCall => client.shell(command);
  const program = (): string[] => {
    const path = programOf(pinned);
    return path.endsWith(".js") ? [process.execPath, path] : [path];
  };
  return {
    name,
    version: pinned.version,
    command: () => [...program(), ...flags],
    env: (place) => environmentOf(client, place, place.model.url),
    files: () => asJson(client.files),
    ...(shimHome !== undefined && { shimHome }),
    shell,
    asking: shell,
    ...own,
  };
}

function asJson(files: Readonly<Record<string, object>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [path, JSON.stringify(content)]));
}

const claudeShell = (command: string): ToolCall => ({ name: "Bash", input: { command } });

export const claudeTerminal: TerminalClient = {
  name: "claude-code",
  version: `${CLAUDE_VERSION} (Claude Code)`,
  command: () => {
    const allowed = "Read,Write,Edit,Agent,Bash(echo:*),Bash(tail:*)";
    return [claudeBinary(), "--permission-mode", "default", "--allowedTools", allowed];
  },
  env: ({ home, model, paths }) => {
    const env = { SHIM_HOME: paths.home, CLAUDE_CODE_MAX_RETRIES: "0" };
    return cleanEnv({ home, modelUrl: model.url, env });
  },
  files: ({ home, project }) => {
    skipFirstRunDialogs(home, project);
    return {};
  },
  servers: ".claude.json",
  ready: "manual mode on",
  exit: "/exit",
  asks: "Do you want to proceed?",
  shell: claudeShell,
  asking: claudeShell,
  write: (path, content) => ({ name: "Write", input: { file_path: path, content } }),
};

/** In its settings, since its background server is given no flags. */
function codexConfig({ project, model }: Place): string {
  return `model = "scripted"
model_provider = "standin"
check_for_update_on_startup = false
model_providers.standin = { name = "standin", base_url = "${model.url}/v1", wire_api = "responses", env_key = "STANDIN_KEY" }
features = { plugins = false, apps = false }
analytics = { enabled = false }
sandbox_workspace_write = { exclude_slash_tmp = true, exclude_tmpdir_env_var = true }
projects."${project}" = { trust_level = "trusted" }
`;
}

export const codexTerminal = inTerminal(codex, {
  files: (place) => ({ ".codex/config.toml": codexConfig(place) }),
  // Its sandbox has a /dev of its own, so that a project in /dev/shm cannot be written.
  folder: "/tmp",
  servers: ".codex/config.toml",
  ready: "Ask Codex to do anything",
  exit: "/quit",
  asks: "Would you like to run",
  // The model says which command needs leave.
  asking: (command) => ({
    name: "exec_command",
    input: { cmd: command, sandbox_permissions: "require_escalated", justification: "May it be run?" },
  }),
  write: (path, content) => codex.shell(`printf %s '${content}' > ${path}`),
});

const openCodeConfig = ".config/opencode/opencode.json";
const openCodeSettings = {
  ...opencode.files[openCodeConfig],
  permission: { bash: { "*": "allow", "touch *": "ask" } },
};

export const openCodeTerminal = inTerminal(opencode, {
  files: () => asJson({ ...opencode.files, [openCodeConfig]: openCodeSettings }),
  servers: openCodeConfig,
  ready: "Ask anything",
  exit: "/exit",
  asks: "Permission required",
  write: (path, content) => opencode.write(path, content),
});

const knownCommands = ["echo", "tail"];
const qwenTools = ["write_file", "agent", ...knownCommands.map((command) => `run_shell_command(${command})`)];

export const qwenTerminal = inTerminal(qwen, {
  flags: ["--approval-mode", "default", "--allowed-tools", qwenTools.join(",")],
  servers: ".qwen/settings.json",
  ready: "Type your message",
  exit: "/quit",
  asks: "Allow execution of",
  write: (path, content) => qwen.write(path, content),
});

const geminiPolicy = `[[rule]]
toolName = "write_file"
decision = "allow"
priority = 900

[[rule]]
toolName = "run_shell_command"
commandPrefix = ${JSON.stringify(knownCommands)}
decision = "allow"
priority = 900
`;

export const geminiTerminal = inTerminal(gemini, {
  flags: ["-m", "gemini-2.5-pro"],
  files: () => ({ ...asJson(gemini.files), ".gemini/policies/tests.toml": geminiPolicy }),
  servers: ".gemini/settings.json",
  ready: "Type your message",
  exit: "/quit",
  asks: "Allow execution of",
  write: (path, content) => gemini.write(path, content),
});

const copilotTerminal = inTerminal(copilot, {
  flags: ["write", ...knownCommands.map((command) => `shell(${command}:*)`)].flatMap((tool) => ["--allow-tool", tool]),
  files: ({ project }) => asJson({ ".copilot/config.json": { trustedFolders: [project] } }),
  servers: ".copilot/mcp-config.json",
  ready: "/ commands",
  exit: "/exit",
  asks: "Do you want to run this command?",
  write: (path, content) => copilot.write(path, content),
});

export const terminalClients = [
  claudeTerminal,
  codexTerminal,
  openCodeTerminal,
  qwenTerminal,
  geminiTerminal,
  copilotTerminal,
];

/** Programs that users have on their PATH, which start the client as a child; Codex's becomes the client. */
const launchers: Readonly<Record<string, string>> = {
  qwen: "@qwen-code/qwen-code/cli-entry.js",
  gemini: "@google/gemini-cli/bundle/gemini.js",
  copilot: "@github/copilot/npm-loader.js",
};

/** Started by its launcher below a shell, so that the terminal is still there when either is gone. */
export function throughLauncher(client: TerminalClient): TerminalClient {
  return {
    ...client,
    start: () => {
      const words = client.command();
      const at = words.findLastIndex((word) => word.includes("node_modules"));
      const modules = words[at]?.split("node_modules")[0] ?? "";
      const launcher = join(modules, "node_modules", launchers[client.name] ?? "");
      return ["/bin/sh", "-c", '"$@"; exec cat', "sh", process.execPath, launcher, ...words.slice(at + 1)];
    },
    env: (place) =>
      Object.fromEntries(Object.entries(client.env(place)).filter(([name]) => !name.endsWith("_NO_RELAUNCH"))),
  };
}
