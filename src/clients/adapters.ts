import { hookClients, type HookClient } from "../contract/clients.ts";
import { claudeCode } from "./claude-code.ts";
import type { ClientAdapter } from "./client-adapter.ts";
import { codex } from "./codex.ts";

const adapters: Partial<Record<HookClient, ClientAdapter>> = { "claude-code": claudeCode, codex };

/** In the order of the table of supported clients. */
export const supportedClients: readonly ClientAdapter[] = hookClients.flatMap((name) => adapters[name] ?? []);

/** Returns null for a client that SHIM does not know. */
export function adapterOf(name: string): ClientAdapter | null {
  return supportedClients.find((adapter) => adapter.name === name) ?? null;
}
