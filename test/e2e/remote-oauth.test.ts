import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { expect, it, onTestFinished } from "vitest";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { Keeper, openForm, redirectUrl } from "#harness/edge/oauth-keeper.ts";

interface Token {
  readonly id: string;
  readonly token: string;
}

/** The official client at a real workerd, with what it has sent and been answered. */
class Rig {
  readonly edge: EdgeRuntime;
  readonly keeper = new Keeper();
  readonly asked: string[] = [];

  private constructor(edge: EdgeRuntime) {
    this.edge = edge;
  }

  static async open(): Promise<Rig> {
    return new Rig(await EdgeRuntime.open({ isOAuth: true, log: () => undefined }));
  }

  readonly ask = async (url: string | URL, init?: RequestInit): Promise<Response> => {
    const { pathname } = new URL(url);
    const answer = await fetch(url, init);
    this.asked.push(`${init?.method ?? "GET"} ${pathname} ${answer.status}`);
    return answer;
  };

  transport(): StreamableHTTPClientTransport {
    return new StreamableHTTPClientTransport(new URL(`${this.edge.url}/mcp`), {
      fetch: this.ask,
      authProvider: this.keeper,
    });
  }

  async connect(transport = this.transport()): Promise<Client> {
    const client = new Client({ name: "oauth", version: "1" });
    onTestFinished(() => client.close());
    await client.connect(transport);
    return client;
  }

  /** @returns where the client sends its user */
  async begin(transport = this.transport()): Promise<URL> {
    await expect(this.connect(transport)).rejects.toThrow(UnauthorizedError);
    return this.keeper.sentTo ?? fail("the client has sent its user nowhere");
  }

  /** The user pastes the token. @returns what comes back to the client's address */
  async consent(url: URL, token: string): Promise<URLSearchParams> {
    const answer = await (await openForm(fetch, url)).allow(token);
    const location = new URL(answer.headers.get("location") ?? "");
    expect([answer.status, `${location.origin}${location.pathname}`]).toEqual([302, redirectUrl]);
    return location.searchParams;
  }

  async signIn(scope: "observe" | "submit"): Promise<Token> {
    const made = await this.edge.call("tokens.create", { machine: "for-notes", scope });
    const transport = this.transport();
    const params = await this.consent(await this.begin(transport), made.token);
    await transport.finishAuth(params);
    return made;
  }

  /** An exchange that no client of the SDK would send. */
  exchange(fields: Record<string, string>): Promise<Response> {
    const { client_id: client = "" } = this.keeper.clientInformation() ?? {};
    const body = new URLSearchParams({ client_id: client, ...fields });
    return fetch(`${this.edge.url}/oauth/token`, { method: "POST", body });
  }

  callStatus(access: string): Promise<number> {
    const headers = {
      authorization: `Bearer ${access}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
    return fetch(`${this.edge.url}/mcp`, { method: "POST", headers, body }).then(({ status }) => status);
  }
}

function fail(problem: string): never {
  throw new Error(problem);
}

it("the SDK's client discovers, registers, signs in on the page, and calls a tool, against workerd", async () => {
  const rig = await Rig.open();
  const url = await rig.begin();
  expect(rig.asked).toEqual([
    "POST /mcp 401",
    "GET /.well-known/oauth-protected-resource/mcp 200",
    "GET /.well-known/oauth-authorization-server 200",
    "POST /oauth/register 201",
  ]);
  expect(Object.fromEntries(url.searchParams)).toMatchObject({
    response_type: "code",
    code_challenge_method: "S256",
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    redirect_uri: redirectUrl,
    resource: `${rig.edge.url}/mcp`,
  });
  await rig.signIn("submit");
  const client = await rig.connect();
  const answer = await client.callTool({ name: "tasks_submit", arguments: { tasks: [{ type: "build" }] } });
  expect(answer).toMatchObject({ content: [{ text: expect.stringContaining('"state":"queued"') }] });
  expect((await rig.edge.call("tasks.get", { task: 1 })).type).toBe("build");
});

it("the SDK's client refreshes when its access has ended, with another refresh token", async () => {
  const rig = await Rig.open();
  await rig.signIn("observe");
  const first = rig.keeper.tokens() ?? fail("there are no tokens");
  rig.keeper.saveTokens({ ...first, access_token: `${first.access_token.slice(0, -1)}!` });
  const client = await rig.connect();
  expect((await client.callTool({ name: "chats_list", arguments: {} })).isError ?? false).toBe(false);
  const second = rig.keeper.tokens() ?? fail("there are no tokens");
  expect(second.access_token).not.toBe(first.access_token);
  expect(second.refresh_token).not.toBe(first.refresh_token);
  expect(rig.asked.filter((one) => one.startsWith("POST /oauth/token"))).toEqual(
    Array(2).fill("POST /oauth/token 200"),
  );
});

it("revoking the workspace's token ends the client's access at once, and its refresh", async () => {
  const rig = await Rig.open();
  const { id } = await rig.signIn("observe");
  const client = await rig.connect();
  const { access } = rig.keeper;
  rig.keeper.sentTo = null;
  rig.asked.length = 0;
  await rig.edge.call("tokens.revoke", { id });
  expect(await rig.callStatus(access)).toBe(401);
  await expect(client.callTool({ name: "chats_list", arguments: {} })).rejects.toThrow(UnauthorizedError);
  // The client asks for its stream of events in the background, and is refused there too.
  const posted = rig.asked.filter((one) => one.startsWith("POST"));
  expect(new Set(posted)).toEqual(new Set(["POST /mcp 401", "POST /oauth/token 400"]));
  expect([rig.keeper.tokens(), rig.keeper.sentTo]).toEqual([undefined, expect.any(URL)]);
});

it("a client that gives its tokens back has no access any more", async () => {
  const rig = await Rig.open();
  await rig.signIn("observe");
  const { access } = rig.keeper;
  const refresh = rig.keeper.tokens()?.refresh_token ?? "";
  expect(await rig.callStatus(access)).toBe(200);
  expect((await rig.exchange({ token: refresh, token_type_hint: "refresh_token" })).status).toBe(200);
  expect(await rig.callStatus(access)).toBe(401);
  const refused = await rig.exchange({ grant_type: "refresh_token", refresh_token: refresh });
  expect([refused.status, await refused.json()]).toMatchObject([400, { error: "invalid_grant" }]);
});

it("another redirect and another resource are refused, on the page and with the code", async () => {
  const rig = await Rig.open();
  const { token } = await rig.edge.call("tokens.create", { machine: "for-notes", scope: "observe" });
  const url = await rig.begin();
  const changed = (name: string, value: string): Promise<Response> => {
    const other = new URL(url);
    other.searchParams.set(name, value);
    return fetch(other, { redirect: "manual" });
  };
  for (const redirect of ["https://evil.example/callback", `${redirectUrl}/more`]) {
    const answer = await changed("redirect_uri", redirect);
    expect([answer.status, answer.headers.get("location")]).toEqual([400, null]);
  }
  const refused = await changed("resource", `${rig.edge.url}/other`);
  const location = new URL(refused.headers.get("location") ?? "");
  expect([location.host, location.searchParams.get("error")]).toEqual(["client.example", "invalid_target"]);
  for (const [wrong, error] of [
    [{ redirect_uri: "https://evil.example/callback" }, "invalid_grant"],
    [{ resource: `${rig.edge.url}/other` }, "invalid_target"],
    [{ code_verifier: "x".repeat(43) }, "invalid_grant"],
  ] as const) {
    const code = (await rig.consent(url, token)).get("code") ?? "";
    const right = {
      grant_type: "authorization_code",
      code,
      redirect_uri: redirectUrl,
      code_verifier: rig.keeper.codeVerifier(),
    };
    const answer = await rig.exchange({ ...right, ...wrong });
    expect([wrong, answer.status, await answer.json()]).toMatchObject([wrong, 400, { error }]);
  }
});
