import { type HookClient, hookClients } from "../contract/clients.ts";
import { claudeCode } from "./claude-code/claude-code.ts";
import type { ClientAdapter } from "./adapter/client-adapter.ts";
import { codex } from "./codex/codex.ts";
import { copilot } from "./copilot/copilot.ts";
import { gemini } from "./gemini/gemini.ts";
import { opencode } from "./opencode/opencode.ts";
import { qwen } from "./qwen/qwen.ts";

const adapters: Readonly<Record<HookClient, ClientAdapter>> = {
  "claude-code": claudeCode,
  codex,
  copilot,
  opencode,
  qwen,
  gemini,
};

/** In the order of the table of supported clients. */
export const supportedClients: readonly ClientAdapter[] = hookClients.map((name) => adapters[name]);

/** Returns null for a client that SHIM does not know. */
export function adapterOf(name: string): ClientAdapter | null {
  return supportedClients.find((adapter) => adapter.name === name) ?? null;
}

/** Name of a client for a user; one without an adapter keeps its own. */
export function titleOf(client: string): string {
  return adapterOf(client)?.title ?? client;
}

/** For example "Codex 0.169.0"; a client without an adapter keeps its own name. */
export function clientTitle({ client, clientVersion }: { client: string; clientVersion: string | null }): string {
  const title = titleOf(client);
  return clientVersion === null ? title : `${title} ${clientVersion}`;
}
