import { type HookClient, hookClients } from "../contract/clients.ts";
import type { JsonObject } from "../shared/json-fields.ts";
import { claudeCode, codebuddy, devin, opencode, qwen } from "./claude-compatible.ts";
import type { ClientAdapter } from "./client-adapter.ts";
import { codex } from "./codex.ts";
import { copilot } from "./copilot.ts";
import { cursor } from "./cursor.ts";
import { gemini, tabnine } from "./gemini.ts";
import { isLocalAgents, vscode } from "./vscode.ts";

const adapters: Readonly<Record<HookClient, ClientAdapter>> = {
  "claude-code": claudeCode,
  codex,
  copilot,
  vscode,
  opencode,
  qwen,
  gemini,
  tabnine,
  cursor,
  codebuddy,
  devin,
};

/** In the order of the table of supported clients. */
export const supportedClients: readonly ClientAdapter[] = hookClients.map((name) => adapters[name]);

/** Returns null for a client that SHIM does not know. */
export function adapterOf(name: string): ClientAdapter | null {
  return supportedClients.find((adapter) => adapter.name === name) ?? null;
}

/** [CA9] VS Code's own agent runs the hooks in Copilot's files. */
export function senderOf(named: ClientAdapter, payload: JsonObject): ClientAdapter {
  return named === copilot && isLocalAgents(payload) ? vscode : named;
}

/** For example "Codex 0.169.0"; a client without an adapter keeps its own name. */
export function clientTitle({ client, clientVersion }: { client: string; clientVersion: string | null }): string {
  const title = adapterOf(client)?.title ?? client;
  return clientVersion === null ? title : `${title} ${clientVersion}`;
}
