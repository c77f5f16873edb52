import {
  GrantType,
  OAuthAuthorizationServer,
  OAuthError,
  type TokenExchangeCallbackOptions,
  type TokenExchangeCallbackResult,
} from "@cloudflare/workers-oauth-provider";
import { scopes, type Scope } from "../contract/operation.ts";
import type { ChatCoordinator } from "../durable/chat-coordinator.ts";
import { logProblem } from "../durable/log-problem.ts";
import { hashOf } from "../pairing/sealing.ts";
import { checkClientLimit } from "./callers.ts";
import type { AppContext, Env } from "./env.ts";
import { errorResponse } from "./inputs.ts";
import * as tokens from "./tokens.ts";

/** Never of the public internet: RFC 6761, 6762, 8375, ICANN, and customs of routers. */
const privateSuffix =
  /\.(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|arpa|test|invalid|onion|alt)$/;
/** Labels of a name that ends in no number: whatever ends in one is an address (WHATWG URL). */
const dottedName = /^(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]*$/;

/** Pure. @param hostname of a URL, which spells each address in one way */
export function isPublicName(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  return dottedName.test(name) && !privateSuffix.test(name);
}

const guards = new WeakSet<typeof fetch>();

/**
 * The library fetches documents and keys of clients, from addresses that anybody may send,
 * with the global fetch and without a setting for it. Nothing else of the Worker uses that one.
 */
function guardFetch(): void {
  const { fetch: plain } = globalThis;
  if (guards.has(plain)) return;
  const guard: typeof fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
    const { hostname } = new URL(input instanceof Request ? input.url : input);
    if (!isPublicName(hostname)) throw new TypeError(`${hostname} is no name of the public internet`);
    return plain(input, { ...init, redirect: "manual" });
  };
  guards.add(guard);
  globalThis.fetch = guard;
}

const daySeconds = 86_400;
/** Life of a grant and of a client's registration after their last use. */
const idleSeconds = 30 * daySeconds;

/** The library's own bound: after it the namespace has no grant for the code. */
const codeLifeMs = 600_000;
const codeUsed = "code_used";

/** The library encrypts it under the access token, which is stored only as a hash. */
export interface GrantProps {
  /** The workspace's own token, whose state decides at each request. */
  readonly token: string;
  /** The scope that the person has consented to. */
  readonly scope: Scope;
}

let made: { readonly issuer: string; readonly server: OAuthAuthorizationServer<Env> } | null = null;

export function serverOf({ issuer, resource }: OAuthConfig): OAuthAuthorizationServer<Env> {
  guardFetch();
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
    tokenExchangeCallback: checkExchange,
    onError: ({ internal, description, status, headers }) => {
      if (internal.reason !== codeUsed) return undefined;
      return Response.json({ error: "invalid_grant", error_description: description }, { status, headers });
    },
  });
  made = { issuer, server };
  return server;
}

async function checkExchange(options: TokenExchangeCallbackOptions<Env>): Promise<TokenExchangeCallbackResult> {
  const { env, grantType, grantId, requestedScope } = options;
  const { token, scope } = options.props as GrantProps;
  const coordinator = await coordinatorOfToken(env, token);
  const description = "the SHIM token of this grant is no longer valid";
  // The library revokes the grant, too.
  if (!coordinator) throw new OAuthError("invalid_grant", { description });
  const ticket = { id: `code ${grantId}`, expiresAt: Date.now() + codeLifeMs };
  if (grantType === GrantType.AUTHORIZATION_CODE && !(await coordinator.useTicket(ticket))) {
    // Not invalid_grant: the library would revoke what the exchange that came first has just got.
    const internal = { category: "authorization-code-grant", reason: codeUsed };
    throw new OAuthError("invalid_request", { description: "the code was used already", internal });
  }
  return { accessTokenScope: [narrowest(requestedScope, scope) ?? scope] };
}

/** Null where the token is no longer valid. */
async function coordinatorOfToken(env: Env, token: string): Promise<DurableObjectStub<ChatCoordinator> | null> {
  const claims = await tokens.read(tokens.signingSecrets(env), token);
  if (!claims) return null;
  const coordinator = env.COORDINATOR.getByName(claims.workspace);
  const valid = await coordinator.checkToken({ id: claims.id, hash: await hashOf(token) });
  return valid.ok ? coordinator : null;
}

/**
 * Serves the endpoint for tokens and their revocation. The library only refuses a refresh token
 * that was replaced; if one is used again, it or its successor was stolen, so the grant ends.
 * Clients have refresh tokens with a signature, so that a made-up one ends nothing.
 */
export async function exchange(context: AppContext, config: OAuthConfig): Promise<Response> {
  const { env, req, executionCtx } = context;
  const form = new URLSearchParams(new TextDecoder().decode(await req.raw.clone().arrayBuffer()));
  // Only the id of a registered client has no document, which the library would ask for.
  const isRegistered = /^[^:]+$/.test(form.get("client_id") ?? "");
  const refused = isRegistered ? null : await checkClientLimit(context, "exchange");
  if (refused) return errorResponse(refused);
  const issued = await takeSignature(env, form, "refresh_token");
  const isChanged = (await takeSignature(env, form, "token")) !== null || issued !== null;
  const server = serverOf(config);
  const request = isChanged ? new Request(req.raw, { method: "POST", body: form.toString() }) : req.raw;
  const response = await server.fetch(request, env, executionCtx as ExecutionContext);
  const answer: { error?: string; refresh_token?: string } =
    form.has("grant_type") && [200, 400].includes(response.status) ? await response.clone().json() : {};
  if (issued !== null && answer.error === "invalid_grant") {
    const [user = "", grant = ""] = issued.split(":");
    await server.getOAuthApi(env).revokeGrant(grant, user);
  }
  if (answer.refresh_token === undefined) return response;
  const signature = await tokens.sign(env.SHIM_SIGNING_SECRET, signedText(answer.refresh_token));
  return Response.json({ ...answer, refresh_token: `${answer.refresh_token}.${signature}` }, response);
}

/** No token's payload contains a blank. */
const signedText = (refreshToken: string): string => `refresh ${refreshToken}`;

/** Puts the library's token into the field. @returns it; null: it has no signature of ours */
async function takeSignature(env: Env, form: URLSearchParams, field: string): Promise<string | null> {
  const [token = "", signature = "", ...rest] = (form.get(field) ?? "").split(".");
  const isIssued =
    rest.length === 0 && (await tokens.isSigned(tokens.signingSecrets(env), signedText(token), signature));
  if (!isIssued) return null;
  form.set(field, token);
  return token;
}

/** Returns null for what is not, or no longer, an access token for this resource. */
export async function openGrant(env: Env, config: OAuthConfig, accessToken: string): Promise<GrantProps | null> {
  const valid = await serverOf(config).validateToken<GrantProps>(config.resource, accessToken, env);
  const scope = valid && narrowest(valid.scope, valid.props.scope);
  return scope && { token: valid.props.token, scope };
}

/** The highest scope that is named, at most the given one; null: none is named. */
export function narrowest(named: readonly string[], most: Scope): Scope | null {
  const highest = scopes.findLastIndex((scope) => named.includes(scope));
  return scopes[Math.min(highest, scopes.indexOf(most))] ?? null;
}

/** The scopes that a client may name to narrow its access. */
export function scopesWithin(most: Scope): Scope[] {
  return scopes.slice(0, scopes.indexOf(most) + 1);
}

export interface OAuthConfig {
  /** Origin of this deployment, as clients reach it; never read from a request. */
  readonly issuer: string;
  readonly resource: string;
}

export const mcpPath = "/mcp";

/** Returns null where OAuth is off: no namespace for grants, or no address. */
export function readOAuthConfig({ OAUTH_KV, SHIM_PUBLIC_URL }: Env): OAuthConfig | null {
  if (!OAUTH_KV || !SHIM_PUBLIC_URL) return null;
  if (!URL.canParse(SHIM_PUBLIC_URL)) {
    logProblem("OAuth is off", { problem: `SHIM_PUBLIC_URL is not an address such as https://shim.example.com` });
    return null;
  }
  const issuer = new URL(SHIM_PUBLIC_URL).origin;
  return { issuer, resource: `${issuer}${mcpPath}` };
}
