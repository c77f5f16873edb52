import { adapterOf } from "./adapters.ts";

/** For example "Codex 0.169.0"; a client without an adapter keeps its own name. */
export function clientTitle({ client, clientVersion }: { client: string; clientVersion: string | null }): string {
  const title = adapterOf(client)?.title ?? client;
  return clientVersion === null ? title : `${title} ${clientVersion}`;
}
