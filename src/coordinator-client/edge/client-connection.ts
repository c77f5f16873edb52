import type { CallError } from "../../contract/errors.ts";
import type { Self } from "../../contract/values.ts";
import type { CallQueue } from "./call-queue.ts";
import type { ConnectionState } from "./events.ts";
import type { Ping } from "./registration.ts";
import type { SendRequest } from "./request-outcome.ts";

/** How a client reaches its coordinator: over a socket or HTTP, or in this process. */
export interface ClientConnection {
  readonly state: ConnectionState;
  /** Changes and grants are pushed; else they are polled. */
  readonly isPushing: boolean;
  /** Commits of others are signalled, whatever they change. */
  readonly signalsCommits: boolean;
  /** Changes with each interruption, and between socket and HTTP. */
  readonly generation: number;
  readonly callQueue: CallQueue;
  readonly lastPing: Ping | null;
  /** Longest gap between requests of a holder. */
  readonly maxRenewMs: number;
  readonly send: SendRequest;
  /** Sends without a connection; null: there is one, or it is opened for the call. */
  readonly sendDirectly: SendRequest | null;
  start(): void;
  close(reason: string): void;
  notify(method: string, params: object): void;
  registerChat(): void;
  handleRefusal(self: Self | null, error: CallError): void;
  checkClocks(): void;
}
