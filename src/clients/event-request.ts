import type { HostRequest } from "../platform/host-request.ts";
import { callerHeaders } from "./hook-variables.ts";

export interface PostedEvent {
  readonly client: string;
  /** The client's name of it. */
  readonly event: string;
  readonly input: string;
  /** The header by which the sender describes its process. */
  readonly sender: Readonly<Record<string, string>>;
  /** Ends the wait for the answer. */
  readonly signal: AbortSignal;
}

/** The request by which a program other than `shim-hook` gives an event to the host of a home. */
export function eventRequest(
  home: string,
  env: NodeJS.ProcessEnv,
  { client, event, input, sender, signal }: PostedEvent,
): HostRequest {
  const headers = { ...callerHeaders(home, env), ...sender };
  return { method: "POST", path: `/hook/${client}/${event}`, headers, body: input, signal };
}
