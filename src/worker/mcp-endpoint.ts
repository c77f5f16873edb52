import { cors } from "hono/cors";
import type { Next } from "hono";
import type { Failure } from "../contract/errors.ts";
import type { Scope } from "../contract/operation.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { authenticateToken, checkClientLimit, ownOrigin, readBearerToken, type TokenCaller } from "./callers.ts";
import type { AppContext } from "./env.ts";
import { errorResponse, readBody } from "./inputs.ts";
import { tokenPrefix } from "./tokens.ts";
import { mcpPath, readOAuthConfig } from "./oauth-server.ts";

export const resourceMetadataPath = "/.well-known/oauth-protected-resource";
const authorizePath = "/authorize";
const registerPath = "/oauth/register";
const tokenPath = "/oauth/token";
export const oauthPaths = [authorizePath, registerPath, tokenPath, "/.well-known/oauth-authorization-server"];

/** Requests of web pages: only of origins that the deployment names, and of its own. */
export async function onlyListedOrigins(context: AppContext, next: Next): Promise<Response | void> {
  const origin = context.req.header("origin");
  if (origin === undefined || listOrigins(context).includes(origin)) return next();
  const message = `web pages of ${origin} may not call this endpoint; SHIM_MCP_ORIGINS lists those that may`;
  return errorResponse({ code: "forbidden", message });
}

export const allowListedOrigins = cors({
  origin: (origin, context: AppContext) => (listOrigins(context).includes(origin) ? origin : null),
  allowMethods: ["POST"],
  allowHeaders: ["authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name"],
  exposeHeaders: ["www-authenticate"],
});

function listOrigins(context: AppContext): string[] {
  const listed = context.env.SHIM_MCP_ORIGINS?.split(",").map((one) => one.trim()) ?? [];
  return [ownOrigin(context), ...listed];
}

export async function handleMcp(context: AppContext): Promise<Response> {
  const caller = await authenticateHolder(context);
  if (!caller.ok) return refuse(context, caller.error);
  const { method, raw } = context.req;
  const body = method === "POST" ? await readBody(context) : null;
  if (body && !body.ok) return errorResponse(body.error);
  // The SDK is larger than all else here, and most requests are for other paths.
  const { serveMcp } = await import("./mcp-server.ts");
  return serveMcp(caller.value, raw, body?.value.value);
}

/** Asks the workspace each time: a token may have been revoked since. */
async function authenticateHolder(context: AppContext): Promise<Result<TokenCaller>> {
  const { token, scope } = await readGrant(context);
  const caller = await authenticateToken(context, token, null);
  if (!caller.ok) return caller;
  const { stub, credentials, claims } = caller.value;
  const valid = await stub.checkToken(credentials);
  return valid.ok ? ok({ ...caller.value, claims: { ...claims, scope: scope ?? claims.scope } }) : err(valid.error);
}

/** The workspace's own token: the given one, or the one that a grant holds. */
async function readGrant({ env, req }: AppContext): Promise<{ readonly token: string | null; readonly scope?: Scope }> {
  const token = readBearerToken({ req });
  const config = readOAuthConfig(env);
  if (token === null || token.startsWith(tokenPrefix) || !config) return { token };
  const { openGrant } = await import("./oauth-server.ts");
  return (await openGrant(env, config, token)) ?? { token };
}

/** The endpoints of OAuth, of which the library serves all but the page. */
export async function handleOAuth(context: AppContext): Promise<Response> {
  const { env, req } = context;
  const config = readOAuthConfig(env);
  if (!config) return context.notFound();
  if (req.path === authorizePath) {
    const { authorize } = await import("./consent.ts");
    return authorize(context, config);
  }
  const { exchange, serverOf } = await import("./oauth-server.ts");
  if (req.path === tokenPath) return exchange(context, config);
  const refused = req.path === registerPath ? await checkClientLimit(context, "register") : null;
  if (refused) return errorResponse(refused);
  return serverOf(config).fetch(req.raw, env, context.executionCtx as ExecutionContext);
}

/** A client learns from it where the metadata of this resource are (RFC 9728). */
function refuse(context: AppContext, refusal: Failure): Response {
  const response = errorResponse(refusal);
  if (refusal.code !== "unauthenticated") return response;
  const isInvalid = readBearerToken(context) !== null;
  const metadata = `resource_metadata="${originOf(context)}${resourceMetadataPath}${mcpPath}"`;
  response.headers.set("www-authenticate", `Bearer ${isInvalid ? 'error="invalid_token", ' : ""}${metadata}`);
  return response;
}

export function resourceMetadata(context: AppContext): Response {
  const config = readOAuthConfig(context.env);
  return Response.json({
    resource: `${originOf(context)}${mcpPath}`,
    ...(config && { authorization_servers: [config.issuer] }),
    bearer_methods_supported: ["header"],
    resource_name: "SHIM",
  });
}

function originOf(context: AppContext): string {
  return readOAuthConfig(context.env)?.issuer ?? ownOrigin(context);
}
