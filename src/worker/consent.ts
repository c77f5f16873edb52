import {
  AuthorizationError,
  authorizationErrorRedirect,
  CimdFetchError,
  type AuthRequest,
  type OAuthHelpers,
} from "@cloudflare/workers-oauth-provider";
import { errorTable } from "../contract/errors.ts";
import { scopes } from "../contract/workspaces.ts";
import { authenticateToken, checkClientLimit, type AppContext, type TokenCaller } from "./callers.ts";
import { grantPage, problemPage, tokenPage } from "./consent-page.ts";
import { readForm, textOf } from "./inputs.ts";
import { narrowest, scopesWithin, serverOf, type GrantProps } from "./oauth-server.ts";
import type { OAuthConfig } from "./oauth-config.ts";

/** [RM13] The pages on which a person lets a client act with a token of the workspace. */
export async function authorize(context: AppContext, config: OAuthConfig): Promise<Response> {
  const refused = await checkClientLimit(context, "authorize");
  if (refused) return problemPage(refused.message, errorTable[refused.code].status);
  const oauth = serverOf(config).getOAuthApi(context.env);
  try {
    return await (context.req.method === "POST" ? decide(context, oauth) : ask(context, oauth, null));
  } catch (error) {
    if (error instanceof AuthorizationError)
      return error.redirectTo === undefined ? problemPage(error.description) : redirect(error.redirectTo);
    if (error instanceof CimdFetchError) return problemPage("The document that describes it could not be read.");
    throw error;
  }
}

/** [RM42] */
async function ask(context: AppContext, oauth: OAuthHelpers, problem: string | null): Promise<Response> {
  const request = await oauth.parseAuthRequest(new Request(context.req.url));
  const most = narrowest(scopesAskedBy(request), "admin");
  if (most === null)
    return redirect(authorizationErrorRedirect(request, "invalid_scope", `the scopes are ${scopes.join(", ")}`));
  const details = await oauth.describeConsent(request);
  const asked = request.scope.length === 0 ? null : most;
  return tokenPage(details, await oauth.beginConsent(request), asked, problem);
}

/** A client that names none asks for what the token permits. */
function scopesAskedBy({ scope }: AuthRequest): readonly string[] {
  return scope.length === 0 ? scopes : scope;
}

async function decide(context: AppContext, oauth: OAuthHelpers): Promise<Response> {
  const { raw } = context.req;
  const form = await readForm(raw);
  if (!form) return problemPage("The form could not be read.");
  const handle = textOf(form, "handle");
  if (textOf(form, "decision") !== "allow") {
    const denied = await oauth.denyConsent(raw, handle);
    return redirect(denied.redirectTo, denied.headers);
  }
  return form.has("token")
    ? confirm(context, oauth, handle, textOf(form, "token").trim())
    : allow(context, oauth, handle);
}

/**
 * The request that the second page has shown. The library seals it under the handle of that
 * page's form, so neither the token nor the scope can be another one when it is sent.
 */
interface ShownRequest extends AuthRequest {
  readonly token?: string;
}

/** [RM42] Shows what this token makes of the request. */
async function confirm(context: AppContext, oauth: OAuthHelpers, handle: string, token: string): Promise<Response> {
  const holder = await findHolder(context, token);
  if (typeof holder === "string") return ask(context, oauth, holder);
  const { request } = await oauth.approveConsent(context.req.raw, handle);
  const { workspace, claims } = holder;
  const granted = narrowest(scopesAskedBy(request), claims.scope);
  if (granted === null) return problemPage("It asks for a scope that does not exist.");
  const shown: ShownRequest = { ...request, scope: [granted], token };
  const details = await oauth.describeConsent(request);
  return grantPage(details, await oauth.beginConsent(shown), { workspace, permitted: claims.scope, granted });
}

/** [RM41] [RM42] */
async function allow(context: AppContext, oauth: OAuthHelpers, handle: string): Promise<Response> {
  const approved = await oauth.approveConsent(context.req.raw, handle);
  const { token = "", ...request }: ShownRequest = approved.request;
  const holder = await findHolder(context, token);
  if (typeof holder === "string") return problemPage(holder, 403);
  const { workspace, claims } = holder;
  const scope = narrowest(request.scope, claims.scope);
  if (scope === null) return problemPage("Nothing was to be granted.");
  const props: GrantProps = { token, scope };
  const { redirectTo } = await oauth.completeAuthorization({
    request,
    userId: claims.id,
    metadata: { workspace },
    scope: scopesWithin(scope),
    props,
  });
  return redirect(redirectTo, approved.headers);
}

/** The holder of a valid token, or why it is none. */
async function findHolder(context: AppContext, token: string): Promise<TokenCaller | string> {
  const holder = await authenticateToken(context, token, null);
  if (!holder.ok) return `The token was not accepted: ${holder.error.message}.`;
  const valid = await holder.value.stub.checkToken(holder.value.credentials);
  return valid.ok ? holder.value : `The token was not accepted: ${valid.error.message}.`;
}

function redirect(location: string, headers = new Headers()): Response {
  headers.set("location", location);
  return new Response(null, { status: 302, headers });
}
