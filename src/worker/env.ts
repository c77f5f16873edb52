import type { Context } from "hono";

/** Bindings that a local runtime may leave out. */
type Optional = "RATE_LIMITER" | "AUTH_FAILURE_LIMITER" | "VERSION" | "RESTORE_MARKS";

/** Bindings of wrangler.toml (`npm run types` lists them), and what it does not name. */
export interface Env extends Omit<Cloudflare.Env, Optional>, Partial<Pick<Cloudflare.Env, Optional>> {
  /** Signs the tokens of every workspace. At least 32 characters. */
  readonly SHIM_SIGNING_SECRET: string;
  /** The secret before it: what it has signed counts, and it signs nothing more. */
  readonly SHIM_PREVIOUS_SIGNING_SECRET?: string;
  readonly SHIM_ADMIN_SECRET: string;
  /** Grants and clients of OAuth; without it and an address OAuth is off. */
  readonly OAUTH_KV?: KVNamespace;
  /** Address of this deployment as clients reach it, such as `https://shim.example.com`. */
  readonly SHIM_PUBLIC_URL?: string;
  /** Origins of web pages that may call the MCP endpoint, besides its own; separated by commas. */
  readonly SHIM_MCP_ORIGINS?: string;
  /** Set only by the programs that start a local runtime. */
  readonly SHIM_LOCAL?: string;
}

export interface AppBindings {
  Bindings: Env;
}
export type AppContext = Context<AppBindings>;
