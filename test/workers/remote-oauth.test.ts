import { expect, vi } from "vitest";
import type { Env } from "#src/worker/env.ts";
import { app } from "#src/worker/app.ts";
import { Keeper, redirectUrl } from "#harness/edge/oauth-keeper.ts";
import { begin, connect, open, pathOf, signIn } from "./oauth-client.ts";
import { mcpHeaders, ping } from "./remote-client.ts";
import { bearer, bindings, it, origin, request, wait } from "./support.ts";

const minute = 60_000;
const day = 86_400_000;

function callStatus(token: string): Promise<Response> {
  return request("/mcp", {
    method: "POST",
    headers: { ...mcpHeaders, ...bearer(token) },
    body: JSON.stringify(ping),
  });
}

it("the SDK's client registers, signs in with a token, and calls a tool", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("submit", "for-notes");
  const keeper = await signIn(token);
  const client = await connect(keeper);
  const answer = await client.callTool({ name: "tasks_submit", arguments: { tasks: [{ type: "build" }] } });
  expect(answer).toMatchObject({ content: [{ text: expect.stringContaining('"state":"queued"') }] });
  const names = new Set((await client.listTools()).tools.map(({ name }) => name));
  expect([names.has("state_set"), names.has("messages_send")]).toEqual([true, false]);
  expect(keeper.tokens()).toMatchObject({ expires_in: 3_600, scope: "submit" });
  expect(keeper.access).not.toContain(token);
});

it("revoking the token ends its grant at once, for access and for refresh", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("submit");
  const keeper = await signIn(token);
  expect((await callStatus(keeper.access)).status).toBe(200);
  await workspace.ask("tokens.revoke", { id });
  const refused = await callStatus(keeper.access);
  expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
    401,
    expect.stringContaining('error="invalid_token"'),
  ]);
  const refresh = await refreshWith(keeper);
  expect([refresh.status, await refresh.json()]).toMatchObject([400, { error: "invalid_grant" }]);
});

async function refreshWith(keeper: Keeper, token = keeper.tokens()?.refresh_token ?? ""): Promise<Response> {
  const { client_id: client = "" } = keeper.clientInformation() ?? {};
  return request("/oauth/token", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: token, client_id: client }).toString(),
  });
}

it("an access token lasts an hour, a refresh token changes, and the old one ends with the use of the new", async ({
  workspace,
}) => {
  const keeper = await signIn(workspace.token);
  const first = { ...keeper.tokens() };
  wait(61 * minute);
  expect((await callStatus(keeper.access)).status).toBe(401);
  const renewed = await (await refreshWith(keeper)).json<{ access_token: string; refresh_token: string }>();
  expect(renewed.refresh_token).not.toBe(first.refresh_token);
  expect((await callStatus(renewed.access_token)).status).toBe(200);
  expect((await refreshWith(keeper, renewed.refresh_token)).status).toBe(200);
  expect((await refreshWith(keeper, first.refresh_token ?? "")).status).toBe(400);
});

it("a client that asks for less gets tools of that scope only", async ({ workspace }) => {
  const { url } = await begin();
  url.searchParams.set("scope", "observe");
  const page = await open(url);
  expect(page.html).toContain("It asks for <strong>observe</strong>");
  const keeper = new Keeper();
  const { url: other, transport } = await begin(keeper);
  other.searchParams.set("scope", "observe");
  const answer = await (await open(other)).allow(workspace.token);
  await transport.finishAuth(new URL(answer.headers.get("location") ?? "").searchParams);
  const client = await connect(keeper);
  const names = new Set((await client.listTools()).tools.map(({ name }) => name));
  expect([names.has("tasks_list"), names.has("tasks_submit")]).toEqual([true, false]);
  await expect(client.callTool({ name: "tasks_submit", arguments: { tasks: [] } })).rejects.toThrow("no tool");
});

it("the page names client and host as text, cannot be framed, and says when a token is not accepted", async ({
  workspace,
}) => {
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

it("the page warns of a redirect to this computer", async () => {
  const { url } = await begin(new Keeper("http://localhost:3000/callback"));
  const page = await open(url);
  expect(page.html).toContain("That is a program on your computer.");
  expect(page.html).toContain("<strong>localhost</strong>");
  expect(page.headers.get("content-security-policy")).toContain("form-action 'self' http://localhost:3000;");
});

it("the form works once, and only in the browser that opened the page", async ({ workspace }) => {
  const { url } = await begin();
  const page = await open(url);
  const first = { decision: "allow", token: workspace.token };
  const refuse = async (form: typeof page, fields: Record<string, string>, cookie?: string) => {
    const forged = await form.send(fields, cookie);
    expect([forged.status, forged.headers.get("location")]).toEqual([400, null]);
  };
  const cookies = ["", "__Host-oauth-consent-other=1"];
  for (const cookie of cookies) await refuse(page, first, cookie);
  const shown = await page.paste(workspace.token);
  await refuse(page, first);
  const second = { decision: "allow" };
  for (const cookie of cookies) await refuse(shown, second, cookie);
  expect((await shown.send(second)).status).toBe(302);
  await refuse(shown, second);
});

it("who denies sends the client back without a code", async () => {
  const { url } = await begin();
  const answer = await (await open(url)).send({ decision: "deny" });
  const { searchParams } = new URL(answer.headers.get("location") ?? "");
  expect(Object.fromEntries(searchParams)).toMatchObject({ error: "access_denied", state: "state-of-the-client" });
  expect(searchParams.has("code")).toBe(false);
});

it("another redirect, another resource, and no PKCE are refused before consent", async () => {
  const { url } = await begin();
  const changed = async (name: string, value: string | null): Promise<Response> => {
    const other = new URL(url);
    if (value === null) other.searchParams.delete(name);
    else other.searchParams.set(name, value);
    return request(pathOf(other), { redirect: "manual" });
  };
  for (const redirect of [`${redirectUrl}/more`, `${redirectUrl}?a=1`, "https://evil.example/callback"]) {
    const answer = await changed("redirect_uri", redirect);
    expect([answer.status, answer.headers.get("location")]).toEqual([400, null]);
  }
  for (const [name, value, error] of [
    ["resource", "https://other.example/mcp", "invalid_target"],
    ["code_challenge", null, "invalid_request"],
    ["code_challenge_method", "plain", "invalid_request"],
  ] as const) {
    const answer = await changed(name, value);
    const location = new URL(answer.headers.get("location") ?? "");
    expect([location.host, location.searchParams.get("error")]).toEqual(["client.example", error]);
  }
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
  const client = await connect(await signIn(workspace.token, new KeeperAt(address)));
  expect((await client.listTools()).tools.length).toBeGreaterThan(20);
  expect(new Set(fetched.mock.calls.map(([asked]) => (asked instanceof Request ? asked.url : String(asked))))).toEqual(
    new Set([address]),
  );
});

class KeeperAt extends Keeper {
  constructor(address: string) {
    super();
    this.clientMetadataUrl = address;
  }
}

const registration = {
  method: "POST",
  headers: { "content-type": "application/json", "cf-connecting-ip": "203.0.113.9" },
  body: JSON.stringify({ client_name: "many", redirect_uris: [redirectUrl], token_endpoint_auth_method: "none" }),
};

it("registration is limited for each address", async () => {
  const counts = new Map<string, number>();
  const limit = ({ key }: { key: string }): Promise<{ success: boolean }> => {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return Promise.resolve({ success: (counts.get(key) ?? 0) <= 20 });
  };
  const env = { ...bindings, AUTH_FAILURE_LIMITER: { limit } };
  const register = (): Promise<Response> =>
    Promise.resolve(app.request(`${origin}/oauth/register`, registration, env, executionContext));
  for (let count = 0; count < 20; count++) expect((await register()).status).toBe(201);
  const refused = await register();
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "60"]);
});

const executionContext = { waitUntil: () => undefined, passThroughOnException: () => undefined, props: {} } as never;

it("a client that registered and was not used for 30 days is not known", async () => {
  const { url } = await begin();
  const { OAUTH_KV } = bindings;
  const { keys } = (await OAUTH_KV?.list({ prefix: "client:" })) ?? { keys: [] };
  const id = url.searchParams.get("client_id");
  const own = keys.find(({ name }) => name === `client:${id}`);
  const lifeMs = (own?.expiration ?? 0) * 1_000 - Date.now();
  // The namespace's clock is the real one, a day behind that of the test.
  expect(lifeMs).toBeGreaterThan(28 * day);
  expect(lifeMs).toBeLessThan(30 * day + minute);
});

it("without a namespace or an address OAuth is off, and tokens in a header work", async ({ workspace }) => {
  const { OAUTH_KV: _kv, ...withoutGrants } = bindings;
  const { SHIM_PUBLIC_URL: _url, ...withoutAddress } = bindings;
  const log = vi.spyOn(console, "error").mockReturnValue();
  const wrongAddress = { ...bindings, SHIM_PUBLIC_URL: "shim.example" };
  for (const env of [withoutGrants, withoutAddress, wrongAddress] as Env[]) {
    for (const path of ["/authorize", "/oauth/token", "/oauth/register", "/.well-known/oauth-authorization-server"]) {
      expect([path, (await app.request(`${origin}${path}`, {}, env)).status]).toEqual([path, 404]);
    }
    const metadata = await app.request(`${origin}/.well-known/oauth-protected-resource/mcp`, {}, env);
    expect(await metadata.json()).not.toHaveProperty("authorization_servers");
    const headers = { ...mcpHeaders, ...bearer(workspace.token) };
    const body = JSON.stringify(ping);
    expect((await app.request(`${origin}/mcp`, { method: "POST", headers, body }, env)).status).toBe(200);
    const foreign = { ...headers, authorization: "Bearer user:grant:secret" };
    expect((await app.request(`${origin}/mcp`, { method: "POST", headers: foreign, body }, env)).status).toBe(401);
  }
  expect(log.mock.calls.flat().join()).toContain("SHIM_PUBLIC_URL is not an address");
});
