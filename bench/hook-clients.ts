import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CLAUDE_VERSION, claudeBinary } from "../scripts/install-claude.ts";
import { programOf } from "../scripts/install-clients.ts";
import { clientFiles } from "../src/clients/details.ts";
import { hookEvents } from "../src/contract/hook-input.ts";
import { hookToolGroups, isHookToolEvent } from "../src/contract/hook-tool.ts";
import { objectAt, parseObject } from "../src/shared/json-fields.ts";
import type { ClientTools } from "../test/harness/clients/real-clients.ts";
import type { ClientChat } from "./restore/client-chat.ts";
import { otherClientNames, otherClients, type OtherClientName } from "./restore/other-clients.ts";
import type { RestoreRig } from "./restore/restore-rig.ts";
import { turnsFile } from "./restore/screen-chat.ts";
import { StreamChat } from "./restore/stream-chat.ts";

export const without = "without";
export const emptyServer = "with an empty server";
export const emptyHooks = "with hooks that do nothing";
export const shim = "with SHIM";
export type Arm = typeof without | typeof emptyServer | typeof emptyHooks | typeof shim;

/** A client as the bench of hooks drives it. */
export interface HookClient {
  readonly title: string;
  /** @throws {Error} where it is not installed */
  readonly program: () => string;
  readonly shimHome?: (home: string) => string;
  /** Its prompts are typed, which takes longer than the hook. */
  readonly isTyped?: true;
  /** What SHIM's hooks need at the least. */
  readonly floor: typeof emptyServer | typeof emptyHooks | null;
  /** Milliseconds that SHIM may add. */
  readonly mostAdded?: { readonly call: number; readonly end: number };
  /** A tool call with SHIM against the other arms. Absent: milliseconds count. */
  readonly mostRatios?: readonly (readonly [Arm, number])[];
  tools(project: string): Pick<ClientTools, "shell" | "read" | "edit">;
  start(rig: RestoreRig, modelUrl: string, arm: Arm, hookServer: string): ClientChat;
  /** On the clock of `performance.now`. Absent: when the client says so. */
  turnEnd?(rig: RestoreRig): number;
}

export const hookClientNames = ["claude-code", ...otherClientNames] as const;

const plugin = join(import.meta.dirname, "..", "plugin");

const claude: HookClient = {
  title: `Claude Code ${CLAUDE_VERSION}`,
  program: claudeBinary,
  floor: emptyServer,
  mostRatios: [
    [emptyServer, 1.1],
    [without, 1.4],
  ],
  tools: () => ({
    shell: (command) => ({ name: "Bash", input: { command } }),
    read: (path) => ({ name: "Read", input: { file_path: path } }),
    edit: (path, before, after) => ({
      name: "Edit",
      input: { file_path: path, old_string: before, new_string: after },
    }),
  }),
  start({ home, project, shimHome }, modelUrl, arm, hookServer) {
    const servers = arm === emptyServer ? { shim: { command: process.execPath, args: [hookServer] } } : {};
    const args = ["--mcp-config", JSON.stringify({ mcpServers: servers }), "--allowedTools", "Bash,Read,Edit"];
    if (arm === shim) args.push("--plugin-dir", plugin);
    else args.push("--strict-mcp-config");
    if (arm === emptyServer) args.push("--settings", JSON.stringify({ hooks: toolHooks("shim") }));
    return new StreamChat({ home, cwd: project, modelUrl, args, env: { SHIM_HOME: shimHome } });
  },
};

/** The plugin's hooks, but for those that are processes. */
export function toolHooks(server: string): object {
  return Object.fromEntries(hookEvents.filter(isHookToolEvent).map((event) => [event, hookToolGroups(event, server)]));
}

function other(name: OtherClientName): HookClient {
  const client = otherClients[name];
  return {
    ...client,
    title: `${client.title} ${client.pinned.version}`,
    program: () => programOf(client.pinned),
    // Codex trusts no hooks that were changed, and OpenCode's are no processes.
    floor: name === "codex" || name === "opencode" ? null : emptyHooks,
    ...(name !== "opencode" && { mostAdded: { call: 35, end: 60 } }),
    start(rig, modelUrl, arm) {
      if (arm === without) client.prepare(rig);
      else client.setUp(rig);
      if (arm === emptyHooks) emptyHooksIn(rig, name);
      if (name === "gemini") markLast(rig);
      return client.start({ ...rig.folders, cwd: rig.project, modelUrl, resumed: null });
    },
    ...(name === "gemini" && { isTyped: true, turnEnd: markedAt }),
  };
}

function emptyHooksIn({ home }: RestoreRig, name: OtherClientName): void {
  const file = join(home, clientFiles[name]?.hooks.file ?? "");
  const text = readFileSync(file, "utf8");
  const emptied = text.replaceAll(/\/bin\/sh [^"]*\/shim-hook [^"]*/g, "/bin/sh -c :");
  if (emptied === text) throw new Error(`${file} starts no hook of SHIM`);
  writeFileSync(file, emptied);
}

/** Gemini CLI says nothing at the end of a turn: its last hook marks it, after those of SHIM. */
function markLast({ home }: RestoreRig): void {
  const file = join(home, ".gemini", "settings.json");
  const settings = parseObject(readFileSync(file, "utf8")) ?? {};
  const hooks = objectAt(settings, "hooks") ?? {};
  const groups = (hooks["AfterAgent"] as object[]).toReversed();
  for (const group of groups) Object.assign(group, { sequential: true });
  writeFileSync(file, JSON.stringify({ ...settings, hooks: { ...hooks, AfterAgent: groups } }));
}

function markedAt({ home }: RestoreRig): number {
  return statSync(join(home, turnsFile)).mtimeMs - performance.timeOrigin;
}

export const hookClients: Readonly<Record<(typeof hookClientNames)[number], HookClient>> = {
  "claude-code": claude,
  codex: other("codex"),
  copilot: other("copilot"),
  opencode: other("opencode"),
  qwen: other("qwen"),
  gemini: other("gemini"),
};
