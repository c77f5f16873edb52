import type { ChatCoordinator } from "./chat-coordinator.ts";
import type { QueueQuarantine } from "./queue-quarantine.ts";

/** What wrangler.toml binds, and the secrets. */
export interface Env {
  readonly COORDINATOR: DurableObjectNamespace<ChatCoordinator>;
  /** The one that keeps what no consumer can read. */
  readonly QUARANTINE: DurableObjectNamespace<QueueQuarantine>;
  /** Tokens that make a workspace look at its tasks. */
  readonly DISPATCH: Queue<{ readonly workspace: string }>;
  /** Signs tokens: whoever has it makes tokens of every workspace. */
  readonly SHIM_SIGNING_SECRET: string;
  /** Makes workspaces. */
  readonly SHIM_ADMIN_SECRET: string;
  /** Absent where the plan or the local runtime has none. */
  readonly RATE_LIMITER?: RateLimit;
}
