import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { ChatDirectory } from "./chat-directory.ts";
import type { Holdings } from "./holdings.ts";

/** A chat in a team, as its parts see it. */
export interface ChatParts {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "clock" | "setTimer" | "random">;
  readonly link: CoordinatorClient;
  readonly directory: ChatDirectory;
  readonly holdings: Holdings;
  readonly sessionId: string;
  readonly workspace: string;
  /** False: an edge's operator could read what is sent in clear. */
  readonly isLocal: boolean;
  /** Whether heartbeats for its tasks are honest. */
  readonly isActive: () => boolean;
  /** Aborted: the chat is no longer served by this process. */
  readonly signal: AbortSignal;
}
