import { createExecutionContext } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, vi } from "vitest";
import { Keeper, redirectUrl } from "#harness/edge/oauth-keeper.ts";
import { type Scope, scopes } from "#src/contract/operation.ts";
import { app } from "#src/worker/app.ts";
import { isPublicName } from "#src/worker/oauth-server.ts";
import type { Env } from "#src/worker/env.ts";
import {
  ask,
  begin,
  connectAs,
  HandmadeClient,
  mcpHeaders,
  open,
  ping,
  post,
  sentBack,
  signIn,
  type Tokens,
} from "./remote-client.ts";
import { bearer, bindings, it, origin, request } from "./support.ts";

/** Where nothing is granted: the status, and that the browser is sent nowhere. */
function dead(answer: { readonly status: number; readonly headers: Headers }): [number, string | null] {
  return [answer.status, answer.headers.get("location")];
}

async function isInvalidGrant(answer: Response): Promise<void> {
  expect([answer.status, await answer.json()]).toMatchObject([400, { error: "invalid_grant" }]);
}

it("the SDK's client registers, signs in with a token, and calls a tool", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("submit", "for-notes");
  const keeper = await signIn(token);
  const client = await connectAs(keeper);
  const answer = await client.callTool({ name: "tasks_submit", arguments: { tasks: [{ type: "build" }] } });
  expect(answer).toMatchObject({ content: [{ text: expect.stringContaining('"state":"queued"') }] });
  const names = new Set((await client.listTools()).tools.map(({ name }) => name));
  expect([names.has("state_set"), names.has("messages_send")]).toEqual([true, false]);
  expect(keeper.tokens()).toMatchObject({ expires_in: 3_600, scope: "submit" });
  expect(keeper.access).not.toContain(token);
});

it("revoking the token ends its grant at once, for access and for refresh", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("submit");
  const client = new HandmadeClient();
  const tokens = await (await client.exchange(await client.consent(token, null))).json<Tokens>();
  expect((await post(bearer(tokens.access_token))).status).toBe(200);
  await workspace.ask("tokens.revoke", { id });
  const refused = await post(bearer(tokens.access_token));
  expect(refused.status).toBe(401);
  expect(refused.headers.get("www-authenticate")).toContain('error="invalid_token"');
  await isInvalidGrant(await client.refresh(tokens.refresh_token));
});

it("the page names client and host as text, cannot be framed, and says a token's fault", async ({ workspace }) => {
  const { url } = await begin();
  const page = await open(url);
  expect(page.html).toContain("Notes &lt;b&gt;&amp; more&lt;/b&gt;");
  expect(page.html).toContain("<strong>client.example</strong>");
  expect(page.html).toContain("its name is not verified");
  expect(page.html).not.toContain("program on your computer");
  const policy = page.headers.get("content-security-policy");
  expect(policy).toMatch(/default-src 'none'; style-src 'nonce-[\w-]+'; form-action 'self' https:\/\/client\.example;/);
  expect(policy).toContain("frame-ancestors 'none'");
  for (const token of ["", "shim_forged.token", workspace.token.slice(0, -2)]) {
    const again = await page.send({ decision: "allow", token });
    expect([again.status, await again.text()]).toEqual([403, expect.stringContaining("The token was not accepted")]);
  }
  const { id, token } = await workspace.tokenOf("observe");
  await workspace.ask("tokens.revoke", { id });
  const again = await open(url, await page.send({ decision: "allow", token }));
  expect(again.html).toContain("the token was revoked");
  expect((await again.allow(workspace.token)).status).toBe(302);
});

it("the form works once, and only in the browser that opened the page", async ({ workspace }) => {
  const { url } = await begin();
  const page = await open(url);
  const first = { decision: "allow", token: workspace.token };
  const refuse = async (form: typeof page, fields: Record<string, string>, cookie?: string) =>
    expect(dead(await form.send(fields, cookie))).toEqual([400, null]);
  const cookies = ["", "__Host-oauth-consent-other=1"];
  for (const cookie of cookies) await refuse(page, first, cookie);
  const shown = await page.paste(workspace.token);
  await refuse(page, first);
  const second = { decision: "allow" };
  for (const cookie of cookies) await refuse(shown, second, cookie);
  expect((await shown.send(second)).status).toBe(302);
  await refuse(shown, second);
});

it("another redirect, another resource, and no PKCE are refused before consent", async () => {
  const { url } = await begin();
  const changed = async (name: string, value: string | null): Promise<Response> => {
    const other = new URL(url);
    if (value === null) other.searchParams.delete(name);
    else other.searchParams.set(name, value);
    return ask(other, { redirect: "manual" });
  };
  for (const redirect of [`${redirectUrl}/more`, `${redirectUrl}?a=1`, "https://evil.example/callback"])
    expect(dead(await changed("redirect_uri", redirect))).toEqual([400, null]);
  for (const [name, value, error] of [
    ["resource", "https://other.example/mcp", "invalid_target"],
    ["code_challenge", null, "invalid_request"],
    ["code_challenge_method", "plain", "invalid_request"],
  ] as const)
    expect([name, sentBack(await changed(name, value)).get("error")]).toEqual([name, error]);
});

it("a client is known by the document at its address", async ({ workspace }) => {
  const address = "https://client.example/oauth/notes.json";
  const keeper = new Keeper();
  keeper.clientMetadataUrl = address;
  const document = { ...keeper.clientMetadata, client_id: address };
  const fetched = vi.spyOn(globalThis, "fetch").mockImplementation(() => Promise.resolve(Response.json(document)));
  const { url } = await begin(keeper);
  expect(url.searchParams.get("client_id")).toBe(address);
  expect((await open(url)).html).toContain("<strong>client.example</strong>");
  const other = Object.assign(new Keeper(), { clientMetadataUrl: address });
  const client = await connectAs(await signIn(workspace.token, other));
  expect((await client.listTools()).tools.length).toBeGreaterThan(20);
  const urls = fetched.mock.calls.map(([asked]) => (asked instanceof Request ? asked.url : String(asked)));
  expect(new Set(urls)).toEqual(new Set([address]));
});

it("without a namespace or an address OAuth is off, and tokens in a header work", async ({ workspace }) => {
  const { OAUTH_KV: _kv, ...withoutGrants } = bindings;
  const { SHIM_PUBLIC_URL: _url, ...withoutAddress } = bindings;
  const log = vi.spyOn(console, "error").mockReturnValue();
  const wrongAddress = { ...bindings, SHIM_PUBLIC_URL: "shim.example" };
  for (const env of [withoutGrants, withoutAddress, wrongAddress] as Env[]) {
    for (const path of ["/authorize", "/oauth/token", "/oauth/register", "/.well-known/oauth-authorization-server"])
      expect([path, (await app.request(`${origin}${path}`, {}, env)).status]).toEqual([path, 404]);
    const metadata = await app.request(`${origin}/.well-known/oauth-protected-resource/mcp`, {}, env);
    expect(await metadata.json()).not.toHaveProperty("authorization_servers");
    for (const [token, status] of [
      [workspace.token, 200],
      ["user:grant:secret", 401],
    ] as const) {
      const init = { method: "POST", headers: { ...mcpHeaders, ...bearer(token) }, body: JSON.stringify(ping) };
      expect((await app.request(`${origin}/mcp`, init, env)).status).toBe(status);
    }
  }
  expect(log.mock.calls.flat().join()).toContain("SHIM_PUBLIC_URL is not an address");
});

it("clients are registered, asked for and exchanged with a limit for each address", async () => {
  const env = { ...bindings, AUTH_FAILURE_LIMITER: { limit: () => Promise.resolve({ success: false }) } };
  const headers = { "cf-connecting-ip": "203.0.113.7" };
  for (const [method, path] of [
    ["GET", "/authorize"],
    ["POST", "/oauth/register"],
    ["POST", "/oauth/token"],
  ] as const) {
    const answer = await app.request(`${origin}${path}`, { method, headers }, env, createExecutionContext());
    expect([path, answer.status]).toEqual([path, 429]);
  }
});

it("before a grant the page names the workspace, the token's scope and what is granted", async ({ workspace }) => {
  for (const [permitted, asked, granted] of [
    ["work", "observe", "observe"],
    ["observe", "admin", "observe"],
    ["submit", null, "submit"],
  ] as const) {
    const { token } = await workspace.tokenOf(permitted);
    const keeper = new Keeper();
    const { url, transport } = await begin(keeper);
    if (asked !== null) url.searchParams.set("scope", asked);
    const shown = await (await open(url)).paste(token);
    expect(dead(shown)).toEqual([200, null]);
    const text = shown.html.replaceAll(/\s+/g, " ");
    for (const told of [workspace.name, permitted]) expect(text).toContain(`<strong>${told}</strong>`);
    expect(text).toContain(`The application gets <strong>${granted}</strong>`);
    expect(text).not.toContain(token);
    await transport.finishAuth(sentBack(await shown.send({ decision: "allow", scope: "admin" })));
    expect(keeper.tokens()?.scope).toBe(granted);
  }
});

it("nothing is granted by the first form alone, or by a token revoked in between", async ({ workspace }) => {
  const { url } = await begin();
  expect(dead(await (await open(url)).send({ decision: "allow" }))).toEqual([403, null]);
  const { id, token } = await workspace.tokenOf("observe");
  const shown = await (await open(url)).paste(token);
  await workspace.ask("tokens.revoke", { id });
  expect(dead(await shown.send({ decision: "allow" }))).toEqual([403, null]);
  const denied = await (await (await open(url)).paste(workspace.token)).send({ decision: "deny" });
  expect(sentBack(denied).get("error")).toBe("access_denied");
});

async function shownFor(name: string): Promise<string> {
  const keeper = new Keeper();
  keeper.clientMetadata.client_name = name;
  const { url } = await begin(keeper);
  return /<h1>Connect ([^]*) to SHIM\?<\/h1>/.exec((await open(url)).html)?.[1] ?? "";
}

it("a client's name is one line of at most 100 visible characters", async () => {
  expect(await shownFor("Notes\u202Etxt.exe\u200B \u2066x\u2069\uFEFF\u3164")).toBe("Notes�txt.exe� �x���");
  const shown = await shownFor("Notes\r\n\n\tPublished by: example.com\u2028x\u0007");
  expect(shown).toBe("Notes Published by: example.com�x�");
  const long = await shownFor("N".repeat(50_000));
  expect([Array.from(long).length, long.endsWith("N…")]).toEqual([100, true]);
  expect(await shownFor("Übersicht – 記事 😀")).toBe("Übersicht – 記事 😀");
});

async function toolsOf(access: string): Promise<string[]> {
  const answer = await post(bearer(access), { ...ping, method: "tools/list" });
  const [, json = ""] = /^data: (.*)$/m.exec(await answer.text()) ?? [];
  return (JSON.parse(json) as { result: { tools: { name: string }[] } }).result.tools.map(({ name }) => name);
}

const rank = (scope: string): number => scopes.findIndex((one) => one === scope);

const separator = fc.constantFrom(" ", "  ", "\t", "\n", "+", ",", "\u00A0", "\u2003", "\u3000", "\u200B", "\0");
const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...scopes) },
  fc.constantFrom("", " ", "ADMIN", "Work", "offline_access", "*", "null", "__proto__", "constructor", "0", "-1"),
  fc.string({ maxLength: 8 }),
);
const scopeText = fc
  .array(fc.tuple(word, separator), { maxLength: 6 })
  .map((parts) => parts.map(([name, between]) => name + between).join(""));

it("no scope of an exchange or refresh raises what was consented to; a lower one may be had", async ({ workspace }) => {
  const toolsBy = new Map<Scope, string[]>();
  for (const scope of scopes) toolsBy.set(scope, await toolsOf((await workspace.tokenOf(scope)).token));
  for (const [permitted, asked, granted] of [
    ["admin", "observe", "observe"],
    ["work", "submit", "submit"],
    ["submit", "admin", "submit"],
    ["work", null, "work"],
  ] as const) {
    const { token } = await workspace.tokenOf(permitted);
    const client = new HandmadeClient();
    const code = await client.consent(token, asked);
    await fc.assert(
      fc.asyncProperty(fc.oneof(scopeText, fc.constantFrom(" ", "   ", "", "admin work")), async (scope) => {
        const tokens = await client.ask(code, scope);
        if (!tokens) return;
        expect([scope, rank(tokens.scope) <= rank(granted), rank(tokens.scope) >= 0]).toEqual([scope, true, true]);
        expect(await toolsOf(tokens.access_token)).toEqual(toolsBy.get(tokens.scope as Scope));
        if (scope.replaceAll(" ", "") === "") expect(tokens.scope).toBe(granted);
      }),
      { numRuns: 25 },
    );
    expect((await client.ask(code, "observe"))?.scope).toBe("observe");
    expect((await client.ask(code, " "))?.scope).toBe(granted);
  }
});

it("of twelve exchanges of one code at once one succeeds", async ({ workspace }) => {
  const client = new HandmadeClient();
  const code = await client.consent(workspace.token, "observe");
  const answers = await Promise.all(Array.from({ length: 12 }, () => client.exchange(code)));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  for (const answer of answers.filter(({ status }) => status !== 200)) await isInvalidGrant(answer);
  expect((await client.exchange(code)).status).toBe(400);
});

it("a replaced refresh token that is used again ends its grant, with every token of it", async ({ workspace }) => {
  const client = new HandmadeClient();
  const code = await client.consent(workspace.token, "observe");
  const first = await (await client.exchange(code)).json<Tokens>();
  const refreshed = async (old: Tokens): Promise<Tokens> => (await client.refresh(old.refresh_token)).json();
  const second = await refreshed(first);
  // An answer that was lost may be asked for again, until the new token is used.
  const third = await refreshed(first);
  const fourth = await refreshed(third);
  for (const { access_token: token } of [first, third, fourth]) expect((await post(bearer(token))).status).toBe(200);
  await isInvalidGrant(await client.refresh(first.refresh_token));
  for (const { refresh_token: token } of [second, third, fourth])
    expect((await client.refresh(token)).status).toBe(400);
  for (const { access_token: token } of [first, second, third, fourth])
    expect((await post(bearer(token))).status).toBe(401);
});

it("who knows a grant without a secret of it ends nothing; a client ends its own", async ({ workspace }) => {
  const client = new HandmadeClient();
  const first = await (await client.exchange(await client.consent(workspace.token, "observe"))).json<Tokens>();
  const other = new HandmadeClient();
  const theirs = await (await other.exchange(await other.consent(workspace.token, "observe"))).json<Tokens>();
  const grant = first.access_token.split(":").slice(0, 2).join(":");
  const [, signature = ""] = theirs.refresh_token.split(".");
  for (const secret of [
    "",
    "made-up",
    "a.b",
    `made-up.${signature}`,
    `${first.access_token.split(":")[2]}.${signature}`,
  ])
    for (const from of [client, other]) {
      await isInvalidGrant(await from.refresh(`${grant}:${secret}`));
      await from.send({ grant_type: "authorization_code", code: `${grant}:${secret}`, code_verifier: "a".repeat(43) });
      await from.send({ token: `${grant}:${secret}`, token_type_hint: "refresh_token" });
    }
  const second = await (await client.refresh(first.refresh_token)).json<Tokens>();
  expect((await post(bearer(second.access_token))).status).toBe(200);
  expect((await client.send({ token: second.refresh_token })).status).toBe(200);
  expect((await post(bearer(second.access_token))).status).toBe(401);
  // The right token from another client was stolen.
  await isInvalidGrant(await client.refresh(theirs.refresh_token));
  expect((await post(bearer(theirs.access_token))).status).toBe(401);
});

/** As a person or an attacker may write them; what a URL makes of them is what is asked for. */
const privateHosts =
  "localhost LOCALHOST. a.localhost metadata metadata.google.internal printer.local nas.lan db.corp. router.home.arpa " +
  "127.0.0.1 127.1 2130706433 0x7f000001 0177.0.0.1 0.0.0.0 10.1.2.3 １２７.0.0.1 169.254.169.254 169.254.169.254. " +
  "100.64.0.1 8.8.8.8 [::1] [::] [fe80::1] [fd00::1] [::ffff:127.0.0.1] [::ffff:a9fe:a9fe] [64:ff9b::7f00:1]";

it("no document of a client is asked for at an address, or at a name that is not of the public internet", async () => {
  const fetched = vi.spyOn(globalThis, "fetch").mockImplementation(() => Promise.resolve(Response.json({})));
  vi.spyOn(console, "warn").mockReturnValue();
  const { url } = await begin();
  for (const host of privateHosts.split(" ")) {
    const address = `https://${host}/client.json`;
    url.searchParams.set("client_id", address);
    expect([host, (await ask(url)).status]).toEqual([host, 400]);
    const fields = { grant_type: "refresh_token", refresh_token: "a:b:c", client_id: address };
    const init = { method: "POST", body: new URLSearchParams(fields) };
    expect([host, (await request("/oauth/token", init)).status]).toEqual([host, 401]);
    expect([host, isPublicName(new URL(address).hostname)]).toEqual([host, false]);
  }
  expect(fetched).not.toHaveBeenCalled();
  for (const name of ["claude.ai", "client.example", "a-b.c-d.co.uk", "xn--bcher-kva.example", "example.com."])
    expect([name, isPublicName(name)]).toEqual([name, true]);
});

it("a redirect of a document is not followed", async () => {
  const to = "https://169.254.169.254/latest/meta-data";
  const away = new Response(null, { status: 302, headers: { location: to } });
  const fetched = vi.spyOn(globalThis, "fetch").mockResolvedValue(away);
  vi.spyOn(console, "warn").mockReturnValue();
  const { url } = await begin();
  url.searchParams.set("client_id", "https://client.example/oauth/redirected.json");
  expect((await ask(url)).status).toBe(400);
  expect(fetched.mock.calls.map(([, init]) => init?.redirect)).toEqual(["manual"]);
});
