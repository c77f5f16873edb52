import type { ChatCoordinator } from "./chat-coordinator.ts";

/** What wrangler.toml binds, and the secrets. */
export interface Env {
  readonly COORDINATOR: DurableObjectNamespace<ChatCoordinator>;
  /** Tokens that make a workspace look at its tasks. */
  readonly DISPATCH: Queue<{ readonly workspace: string }>;
  /** Signs tokens: whoever has it makes tokens of every workspace. */
  readonly SHIM_SIGNING_SECRET: string;
  /** Makes workspaces. */
  readonly SHIM_ADMIN_SECRET: string;
  /** Absent where the plan or the local runtime has none. */
  readonly RATE_LIMITER?: RateLimit;
}
