import type { Env } from "../durable/env.ts";
import { logProblem } from "../durable/log-problem.ts";

export interface OAuthConfig {
  /** Origin of this deployment, as clients reach it; never read from a request. */
  readonly issuer: string;
  readonly resource: string;
}

export const mcpPath = "/mcp";

/** [RM11] Returns null where OAuth is off: no namespace for grants, or no address. */
export function readOAuthConfig({ OAUTH_KV, SHIM_PUBLIC_URL }: Env): OAuthConfig | null {
  if (!OAUTH_KV || !SHIM_PUBLIC_URL) return null;
  if (!URL.canParse(SHIM_PUBLIC_URL)) {
    logProblem("OAuth is off", { problem: `SHIM_PUBLIC_URL is not an address such as https://shim.example.com` });
    return null;
  }
  const issuer = new URL(SHIM_PUBLIC_URL).origin;
  return { issuer, resource: `${issuer}${mcpPath}` };
}
