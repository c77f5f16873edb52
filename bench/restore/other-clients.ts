import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  codexClient,
  copilotClient,
  geminiClient,
  openCodeClient,
  programOf,
  qwenClient,
  type PinnedClient,
} from "../../scripts/install-clients.ts";
import { setUpCodex, usualShimHome } from "../../test/harness/clients/codex-rig.ts";
import * as real from "../../test/harness/clients/real-clients.ts";
import { AcpChat } from "./acp-chat.ts";
import type { ChatStart, ClientChat } from "./client-chat.ts";
import { codexTools } from "./client-steps.ts";
import { CodexChat } from "./codex-chat.ts";
import type { RestoreRig } from "./restore-rig.ts";
import { markTurn, ScreenChat } from "./screen-chat.ts";

/** A client beside Claude Code, as the bench sets it up and drives it. */
export interface OtherClient {
  readonly title: string;
  readonly pinned: PinnedClient;
  /** Where SHIM's folder is, by the user's. */
  readonly shimHome?: (home: string) => string;
  /** Folder below the home that holds the client's conversations. */
  readonly conversations: string;
  tools(project: string): real.ClientTools;
  /** The client alone. */
  prepare(rig: RestoreRig): void;
  /** The client with SHIM. */
  setUp(rig: RestoreRig): void;
  start(options: ChatStart): ClientChat;
}

export const otherClientNames = ["codex", "copilot", "opencode", "qwen", "gemini"] as const;
export type OtherClientName = (typeof otherClientNames)[number];

/** One that an editor can run. */
function byProtocol(title: string, client: real.RealClient, command: () => readonly string[]): OtherClient {
  return { ...common(title, client), start: (options) => new AcpChat(client, command(), options) };
}

function common(title: string, client: real.RealClient): Omit<OtherClient, "start"> {
  return {
    title,
    pinned: client.pinned,
    conversations: client.conversations,
    tools: () => client,
    prepare: ({ home }) => real.writeSettings(client, home),
    setUp: (rig) =>
      real.connectClient(client, real.environmentOf(client, { ...rig.folders, modelUrl: "http://127.0.0.1:9" })),
  };
}

const codex: OtherClient = {
  title: "Codex",
  pinned: codexClient,
  // Codex hands no variable on to an MCP server.
  shimHome: usualShimHome,
  conversations: ".codex/sessions",
  tools: codexTools,
  prepare({ home }) {
    mkdirSync(join(home, ".codex"));
  },
  setUp: ({ home, project }) => setUpCodex(home, project),
  start: (options) => new CodexChat(options),
};

/** As an editor's agent Gemini CLI runs no hooks. */
const screenGemini: real.RealClient = {
  ...real.gemini,
  settings: {
    ...real.gemini.settings,
    content: {
      ...real.gemini.settings.content,
      hooks: { AfterAgent: [{ hooks: [{ type: "command", command: markTurn }] }] },
    },
  },
};

export const otherClients: Readonly<Record<OtherClientName, OtherClient>> = {
  codex,
  copilot: byProtocol("Copilot CLI", real.copilot, () => [
    programOf(copilotClient),
    "--acp",
    "--allow-all-tools",
    "--allow-all-paths",
  ]),
  opencode: byProtocol("OpenCode", real.opencode, () => [programOf(openCodeClient), "acp"]),
  qwen: byProtocol("Qwen Code", real.qwen, () => [process.execPath, programOf(qwenClient), "--acp", "--yolo"]),
  gemini: {
    ...common("Gemini CLI", screenGemini),
    start: (options) => {
      const resumed = options.resumed === null ? [] : ["--resume", options.resumed];
      const command = [process.execPath, programOf(geminiClient), "-y", "-m", "gemini-2.5-pro", ...resumed];
      return new ScreenChat(screenGemini, { command, promptSign: "Type your message" }, options);
    },
  },
};

export function isOtherClient(name: string): name is OtherClientName {
  return Object.hasOwn(otherClients, name);
}
