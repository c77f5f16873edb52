import { AuthorizationError, CimdFetchError, type OAuthHelpers } from "@cloudflare/workers-oauth-provider";
import { authenticateToken, type AppContext, type TokenCaller } from "./callers.ts";
import { consentPage, problemPage } from "./consent-page.ts";
import { narrowest, serverOf, type GrantProps } from "./oauth-server.ts";
import type { OAuthConfig } from "./oauth-config.ts";

/** [RM13] The page on which a person lets a client act with a token of the workspace. */
export async function authorize(context: AppContext, config: OAuthConfig): Promise<Response> {
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

async function ask(context: AppContext, oauth: OAuthHelpers, problem: string | null): Promise<Response> {
  const request = await oauth.parseAuthRequest(new Request(context.req.url));
  const details = await oauth.describeConsent(request);
  return consentPage(details, await oauth.beginConsent(request), problem);
}

async function decide(context: AppContext, oauth: OAuthHelpers): Promise<Response> {
  const { raw } = context.req;
  const form = await context.req.parseBody();
  const handle = textOf(form, "handle");
  if (textOf(form, "decision") !== "allow") {
    const denied = await oauth.denyConsent(raw, handle);
    return redirect(denied.redirectTo, denied.headers);
  }
  const token = textOf(form, "token").trim();
  const holder = await findHolder(context, token);
  if (typeof holder === "string") return ask(context, oauth, holder);
  return allow(oauth, { raw, handle, token, holder });
}

interface Approval {
  readonly raw: Request;
  readonly handle: string;
  readonly token: string;
  readonly holder: TokenCaller;
}

async function allow(oauth: OAuthHelpers, { raw, handle, token, holder }: Approval): Promise<Response> {
  const approved = await oauth.approveConsent(raw, handle);
  const { workspace, claims } = holder;
  const props: GrantProps = { token };
  const { redirectTo } = await oauth.completeAuthorization({
    request: approved.request,
    userId: claims.id,
    metadata: { workspace },
    scope: [narrowest(approved.request.scope, claims.scope)],
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

function textOf(form: Readonly<Record<string, unknown>>, name: string): string {
  const value = form[name];
  return typeof value === "string" ? value : "";
}

function redirect(location: string, headers = new Headers()): Response {
  headers.set("location", location);
  return new Response(null, { status: 302, headers });
}
