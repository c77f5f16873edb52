import type { ChatCoordinator } from "./chat-coordinator.ts";
import type { QueueQuarantine } from "./queue-quarantine.ts";

/** What wrangler.toml binds, and the secrets. */
export interface Env {
  readonly COORDINATOR: DurableObjectNamespace<ChatCoordinator>;
  /** The one that keeps what no consumer can read. */
  readonly QUARANTINE: DurableObjectNamespace<QueueQuarantine>;
  /** Tokens that make a workspace look at its tasks. */
  readonly DISPATCH: Queue<{ readonly workspace: string }>;
  /** Signs tokens: whoever has it makes tokens of every workspace. At least 32 characters. */
  readonly SHIM_SIGNING_SECRET: string;
  /** Makes workspaces. At least 32 characters. */
  readonly SHIM_ADMIN_SECRET: string;
  /** Absent where the plan or the local runtime has none. */
  readonly RATE_LIMITER?: RateLimit;
  /** Counts failed authentications of each client address. */
  readonly AUTH_FAILURE_LIMITER?: RateLimit;
  /** Set by the programs that start a local runtime; absent on Cloudflare. */
  readonly SHIM_LOCAL?: string;
}
