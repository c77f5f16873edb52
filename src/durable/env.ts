import type { ChatCoordinator } from "./chat-coordinator.ts";

export interface Env {
  readonly COORDINATOR: DurableObjectNamespace<ChatCoordinator>;
  readonly DISPATCH: Queue<{ readonly workspace: string }>;
  /** Signs the tokens of every workspace. At least 32 characters. */
  readonly SHIM_SIGNING_SECRET: string;
  readonly SHIM_ADMIN_SECRET: string;
  readonly RATE_LIMITER?: RateLimit;
  readonly AUTH_FAILURE_LIMITER?: RateLimit;
  /** Grants and clients of OAuth; without it and an address OAuth is off. */
  readonly OAUTH_KV?: KVNamespace;
  /** Address of this deployment as clients reach it, such as `https://shim.example.com`. */
  readonly SHIM_PUBLIC_URL?: string;
  /** Origins of web pages that may call the MCP endpoint, besides its own; separated by commas. */
  readonly SHIM_MCP_ORIGINS?: string;
  /** Set only by the programs that start a local runtime. */
  readonly SHIM_LOCAL?: string;
}
