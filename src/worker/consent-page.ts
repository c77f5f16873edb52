import type { ConsentDescription } from "@cloudflare/workers-oauth-provider";
import { html } from "hono/html";

interface Page {
  readonly title: string;
  readonly headers: Headers;
  readonly status?: number;
}

const style = `body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}
input{font:inherit;width:100%;box-sizing:border-box;padding:.4rem}button{font:inherit;padding:.4rem 1rem;margin:1rem .5rem 0 0}`;

type Markup = ReturnType<typeof html>;

/** [RM13] All that comes from the client is escaped by the template. */
export async function consentPage(
  details: ConsentDescription,
  consent: { readonly handle: string; readonly headers: Headers },
  problem: string | null,
): Promise<Response> {
  const { clientName, clientDomain, redirectHost, redirectIsLoopback, redirectUri, scope } = details;
  const publisher = clientDomain ?? "unknown: the application registered itself, and its name is not verified";
  const body = html`<h1>Connect ${clientName} to SHIM?</h1>
    ${problem === null ? "" : html`<p role="alert"><strong>${problem}</strong></p>`}
    <p>Published by: <strong>${publisher}</strong></p>
    <p>Access is sent to: <strong>${redirectHost}</strong></p>
    ${
      redirectIsLoopback
        ? html`<p><strong>That is a program on your computer.</strong> Continue only if you have just started it.</p>`
        : ""
    }
    <p>
      It can then do what your token
      can${scope.length === 0 ? "" : html`, at most: <strong>${scope.join(", ")}</strong>`}. Revoking the token ends it
      at once.
    </p>
    <form method="post">
      <input type="hidden" name="handle" value="${consent.handle}" />
      <label>SHIM token of the workspace <input name="token" type="password" autocomplete="off" autofocus /></label>
      <button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button>
    </form>`;
  const { origin } = new URL(redirectUri);
  const { headers } = consent;
  return page(body, { title: "Connect to SHIM", headers, status: problem === null ? 200 : 403 }, origin);
}

export function problemPage(problem: string): Promise<Response> {
  const body = html`<h1>This application cannot be connected</h1>
    <p>${problem}</p>`;
  return page(body, { title: "SHIM", headers: new Headers(), status: 400 });
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
