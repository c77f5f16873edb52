import type { ProcessIdentity } from "../../platform/processes.ts";
import type { ProgramVersion } from "../../platform/version.ts";
import { parseObject } from "../../shared/json-fields.ts";

/** Path of the upgrade by which a front's connection becomes that of one MCP client. */
export const mcpPath = "/mcp";
export const mcpProtocol = "shim-mcp";

/** First line of a front: what only its process knows. */
export interface FrontHello {
  readonly program: ProgramVersion;
  readonly front: ProcessIdentity;
  /** The client, or a wrapper that the client started. */
  readonly client: ProcessIdentity | null;
  /** True: the same front was connected before. */
  readonly isRestart: boolean;
  /** Started from the bundle of Claude Desktop. */
  readonly isExtension: boolean;
  /** The client's variables name its session. Only processes of the same user can connect. */
  readonly env: NodeJS.ProcessEnv;
}

/** First line of the host. */
export interface HostHello {
  readonly program: ProgramVersion;
  readonly host: ProcessIdentity;
  /** Tools whose calls may be sent again. */
  readonly repeatable: readonly string[];
}

/** Requests and notifications between front and host travel with the client's messages. */
export const controlMethods = {
  /** The client has ended, or a signal ends the front; `reason` as sessions record it. */
  end: "shim/end",
  /** The host answers while it works. */
  ping: "shim/ping",
  /** The host's work may take long, or no longer: a notification of the host. */
  longWork: "shim/long-work",
  /** An older host finishes and ends, so that the front can start the newer one. */
  handOver: "shim/hand-over",
} as const;

/** Marks control requests, whose answers must not reach the client. */
export const controlPrefix = "shim-front:";

/** An id of JSON-RPC is a string or a number, which differ. */
export function requestKey(id: unknown): string {
  return JSON.stringify(id) ?? "";
}

/** A message of JSON-RPC, as far as a front reads it. */
export interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: {
    readonly name?: unknown;
    readonly arguments?: unknown;
    readonly requestId?: unknown;
    readonly isOver?: unknown;
  };
  readonly [field: string]: unknown;
}

export function parseMessage(line: string): Message | null {
  return parseObject(line);
}
