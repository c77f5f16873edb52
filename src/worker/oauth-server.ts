import { OAuthAuthorizationServer, OAuthError } from "@cloudflare/workers-oauth-provider";
import { scopes, type Scope } from "../contract/workspaces.ts";
import type { Env } from "../durable/env.ts";
import * as tokens from "./tokens.ts";
import type { OAuthConfig } from "./oauth-config.ts";

const daySeconds = 86_400;
/** [RM15] Life of a grant and of a client's registration after their last use. */
const idleSeconds = 30 * daySeconds;

/** The library encrypts it under the access token, which is stored only as a hash. */
export interface GrantProps {
  /** The workspace's own token, whose state decides at each request. */
  readonly token: string;
}

let made: { readonly issuer: string; readonly server: OAuthAuthorizationServer<Env> } | null = null;

export function serverOf({ issuer, resource }: OAuthConfig): OAuthAuthorizationServer<Env> {
  if (made?.issuer === issuer) return made.server;
  const server = new OAuthAuthorizationServer<Env>({
    issuer,
    resources: [resource],
    clientRegistrationEndpoint: "/oauth/register",
    clientIdMetadataDocumentEnabled: true,
    scopesSupported: [...scopes],
    accessTokenTTL: 3_600,
    refreshTokenTTL: idleSeconds,
    refreshTokenIdleTTL: idleSeconds,
    clientRegistrationTTL: idleSeconds,
    tokenExchangeCallback: async ({ env, props }) => {
      if (await isTokenValid(env, (props as GrantProps).token)) return;
      // The library revokes the grant, too.
      throw new OAuthError("invalid_grant", { description: "the SHIM token of this grant is no longer valid" });
    },
  });
  made = { issuer, server };
  return server;
}

async function isTokenValid(env: Env, token: string): Promise<boolean> {
  const claims = await tokens.read(env.SHIM_SIGNING_SECRET, token);
  if (!claims) return false;
  const credentials = { id: claims.id, hash: await tokens.hashOf(token) };
  return (await env.COORDINATOR.getByName(claims.workspace).checkToken(credentials)).ok;
}

export interface Grant extends GrantProps {
  readonly scope: Scope;
}

/** [RM12] Returns null for what is not, or no longer, an access token for this resource. */
export async function openGrant(env: Env, config: OAuthConfig, accessToken: string): Promise<Grant | null> {
  const valid = await serverOf(config).validateToken<GrantProps>(config.resource, accessToken, env);
  return valid && { token: valid.props.token, scope: narrowest(valid.scope, "admin") };
}

/** The highest scope that was asked for, or else the given one; never above that. */
export function narrowest(asked: readonly string[], most: Scope): Scope {
  const named = scopes.findLast((scope) => asked.includes(scope)) ?? most;
  return scopes.indexOf(named) < scopes.indexOf(most) ? named : most;
}
