import * as z from "zod";
import { adapterOf, supportedClients } from "../../clients/adapters.ts";
import type { ClientAdapter } from "../../clients/client-adapter.ts";

/** Another client that continues while Claude Code has reached its usage limit. */
export function atLimitSettings(isUsable: (client: ClientAdapter) => boolean) {
  const names = supportedClients
    .filter((client) => client.name !== "claude-code" && isUsable(client))
    .map(({ name }) => name);
  return z.strictObject({
    client: z.enum(names),
    /** Default: the client's own command. */
    program: z.string().min(1).max(4_096).optional(),
    args: z.array(z.string().max(10_000)).max(1_000).default([]),
  });
}

export type AtLimit = z.infer<ReturnType<typeof atLimitSettings>>;

export type StartableClient = ClientAdapter & { readonly commands: NonNullable<ClientAdapter["commands"]> };

/** Null where the settings name none. */
export function clientAtLimit(settings: AtLimit | undefined): StartableClient | null {
  const client = settings ? adapterOf(settings.client) : null;
  return client?.commands ? { ...client, commands: client.commands } : null;
}
