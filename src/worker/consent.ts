import {
  AuthorizationError,
  authorizationErrorRedirect,
  CimdFetchError,
  type AuthRequest,
  type OAuthHelpers,
  type ConsentDescription,
  type ConsentTransaction,
} from "@cloudflare/workers-oauth-provider";
import { statusOf } from "../contract/errors.ts";
import { scopes, type Scope } from "../contract/operation.ts";
import { authenticateToken, checkClientLimit, type TokenCaller } from "./callers.ts";
import type { AppContext } from "./env.ts";
import { readForm, textOf } from "./inputs.ts";
import { narrowest, scopesWithin, serverOf, type GrantProps, type OAuthConfig } from "./oauth-server.ts";
import { html } from "hono/html";

/** The pages on which a person lets a client act with a token of the workspace. */
export async function authorize(context: AppContext, config: OAuthConfig): Promise<Response> {
  const refused = await checkClientLimit(context, "authorize");
  if (refused) return problemPage(refused.message, statusOf(refused.code));
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

/** Shows what this token makes of the request. */
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

interface Page {
  readonly title: string;
  readonly headers: Headers;
  readonly status?: number;
}

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}
input{font:inherit;width:100%;box-sizing:border-box;padding:.4rem}button{font:inherit;padding:.4rem 1rem;margin:1rem .5rem 0 0}`;

type Markup = ReturnType<typeof html>;

type Consent = Pick<ConsentTransaction, "handle" | "headers">;

const meanings: Readonly<Record<Scope, string>> = {
  observe: "read chats, tasks, shared state, messages and reservations",
  submit: "read all, submit and change tasks, write shared state, drain chats",
  work: "read all, submit and change tasks, write shared state, drain chats, and send messages",
  admin: "all that tools can do, and take leases from their holders",
};

/** The first page asks for the token. @param asked null: the client names no scope */
function tokenPage(
  details: ConsentDescription,
  consent: Consent,
  asked: Scope | null,
  problem: string | null,
): Promise<Response> {
  const body = html`${problem === null ? "" : html`<p role="alert"><strong>${problem}</strong></p>`}
    <p>It asks for ${asked === null ? "all that your token permits" : meaningOf(asked)}.</p>
    ${form(
      consent,
      "Continue",
      html`<label>
        SHIM token of the workspace <input name="token" type="password" autocomplete="off" autofocus />
      </label>`,
    )}`;
  return consentPage(details, consent, body, problem === null ? 200 : 403);
}

interface Shown {
  readonly workspace: string;
  /** The scope of the pasted token. */
  readonly permitted: Scope;
  readonly granted: Scope;
}

/** The second page: what is granted. */
function grantPage(
  details: ConsentDescription,
  consent: Consent,
  { workspace, permitted, granted }: Shown,
): Promise<Response> {
  const body = html`<p>
      Your token is for the workspace <strong>${workspace}</strong>, with the scope <strong>${permitted}</strong>.
    </p>
    <p>The application gets ${meaningOf(granted)}. Revoking the token ends it at once.</p>
    ${form(consent, "Allow")}`;
  return consentPage(details, consent, body);
}

function meaningOf(scope: Scope): Markup {
  return html`<strong>${scope}</strong>: ${meanings[scope]}`;
}

function form({ handle }: Consent, verb: string, fields: Markup | string = ""): Markup {
  return html`<form method="post">
    <input type="hidden" name="handle" value="${handle}" />${fields}
    <button name="decision" value="allow">${verb}</button><button name="decision" value="deny">Deny</button>
  </form>`;
}

/** All that comes from the client is escaped by the template. */
function consentPage(
  { clientName, clientDomain, redirectHost, redirectIsLoopback, redirectUri }: ConsentDescription,
  { headers }: Consent,
  rest: Markup,
  status = 200,
): Promise<Response> {
  const publisher = clientDomain ?? "unknown: the application registered itself, and its name is not verified";
  const body = html`<h1>Connect ${plainName(clientName)} to SHIM?</h1>
    <p>Published by: <strong>${publisher}</strong></p>
    <p>Access is sent to: <strong>${redirectHost}</strong></p>
    ${
      redirectIsLoopback
        ? html`<p><strong>That is a program on your computer.</strong> Continue only if you have just started it.</p>`
        : ""
    }
    ${rest}`;
  return page(body, { title: "Connect to SHIM", headers, status }, new URL(redirectUri).origin);
}

const maxNameChars = 100;
/** Controls, marks of direction, zero-width and unassigned characters hide or reorder text. */
const unseen = /[\p{C}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu;

function plainName(name: string): string {
  const chars = Array.from(
    name
      .slice(0, 4 * maxNameChars)
      .replaceAll(/[ \t\r\n]+/g, " ")
      .replaceAll(unseen, "\uFFFD"),
  );
  return chars.length <= maxNameChars ? chars.join("") : `${chars.slice(0, maxNameChars - 1).join("")}…`;
}

function problemPage(problem: string, status = 400): Promise<Response> {
  const body = html`<h1>This application cannot be connected</h1>
    <p>${problem}</p>`;
  return page(body, { title: "SHIM", headers: new Headers(), status });
}

/** @param redirectOrigin browsers apply form-action to the redirect after the form, too */
async function page(body: Markup, { title, headers, status = 200 }: Page, redirectOrigin = ""): Promise<Response> {
  const nonce = crypto.randomUUID();
  const policy = [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    `form-action 'self' ${redirectOrigin}`.trim(),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  const whole = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <style nonce="${nonce}">
          ${style}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html>`;
  headers.set("content-type", "text/html; charset=utf-8");
  headers.set("content-security-policy", policy.join("; "));
  headers.set("cache-control", "no-store");
  headers.set("x-frame-options", "DENY");
  headers.set("x-content-type-options", "nosniff");
  headers.set("referrer-policy", "no-referrer");
  return new Response(String(whole), { status, headers });
}
