import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { onTestFinished, expect } from "vitest";
import { bearer, origin, request } from "./support.ts";
import { Keeper, openForm, redirectUrl, type Form } from "#harness/edge/oauth-keeper.ts";

export const eras = { "2025-11-25": "legacy", "2026-07-28": { pin: "2026-07-28" } } as const;
type Mode = (typeof eras)[keyof typeof eras];

/** The official client, of the era that is asked for. */
export async function connect(token: string, mode: Mode = eras["2026-07-28"]): Promise<Client> {
  const client = new Client({ name: "remote", version: "1" }, { versionNegotiation: { mode }, capabilities: {} });
  const requestInit = { headers: bearer(token) };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { fetch: ask, requestInit }));
  onTestFinished(() => client.close());
  return client;
}

/** The answer of a tool; its value is the JSON in its text. */
export async function call(client: Client, name: string, given: Record<string, unknown> = {}) {
  const { content, isError = false } = await client.callTool({ name, arguments: given });
  const { text = "" } = (content as { text: string }[])[0] ?? {};
  const json = text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1);
  return { isError, text, value: isError ? null : (JSON.parse(json) as unknown) };
}

export const mcpHeaders = { "content-type": "application/json", accept: "application/json, text/event-stream" };

/** Any other request than a client's own. */
export function post(headers: Record<string, string>, body: object = ping): Promise<Response> {
  return request("/mcp", { method: "POST", headers: { ...mcpHeaders, ...headers }, body: JSON.stringify(body) });
}

export const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

export function ask(url: string | URL, init?: RequestInit): Promise<Response> {
  const { pathname, search } = new URL(url);
  return request(pathname + search, init);
}

function transportOf(authProvider: Keeper): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { fetch: ask, authProvider });
}

/** The page, as a browser has it. */
export const open = (url: URL, before?: Response): Promise<Form> => openForm(ask, url, before);

/** A client up to the page of consent. */
export async function begin(keeper = new Keeper()) {
  const transport = transportOf(keeper);
  const client = new Client({ name: "oauth", version: "1" });
  await expect(client.connect(transport)).rejects.toThrow(/unauthorized/i);
  if (!keeper.sentTo) throw new Error("the client has sent the user nowhere");
  return { keeper, url: keeper.sentTo, transport };
}

/** The parameters with which a form sends the user back to the client. */
export function sentBack(answer: Response): URLSearchParams {
  const location = new URL(answer.headers.get("location") ?? "");
  expect([answer.status, location.origin + location.pathname]).toEqual([302, redirectUrl]);
  return location.searchParams;
}

/** A client that has been given its tokens, and has not connected yet. */
export async function signIn(token: string, keeper = new Keeper()): Promise<Keeper> {
  const { url, transport } = await begin(keeper);
  const back = sentBack(await (await open(url)).allow(token));
  expect(Object.fromEntries(back)).toMatchObject({ state: keeper.state(), iss: origin });
  await transport.finishAuth(back);
  return keeper;
}

export async function connectAs(keeper: Keeper): Promise<Client> {
  const client = new Client({ name: "oauth", version: "1" });
  await client.connect(transportOf(keeper));
  onTestFinished(() => client.close());
  return client;
}

export type Tokens = Readonly<{ access_token: string; refresh_token: string; scope: string }>;

/** A client that sends what it likes to the endpoint for tokens. */
export class HandmadeClient {
  readonly keeper = new Keeper();
  #refresh = "";

  /** @returns the code, after a consent to `asked` with the token */
  async consent(token: string, asked: string | null): Promise<string> {
    const { url } = await begin(this.keeper);
    if (asked !== null) url.searchParams.set("scope", asked);
    return sentBack(await (await open(url)).allow(token)).get("code") ?? "";
  }

  send(fields: Record<string, string>): Promise<Response> {
    const { client_id: client = "" } = this.keeper.clientInformation() ?? {};
    return request("/oauth/token", { method: "POST", body: new URLSearchParams({ client_id: client, ...fields }) });
  }

  exchange(code: string, more: Record<string, string> = {}): Promise<Response> {
    const about = { grant_type: "authorization_code", redirect_uri: redirectUrl, ...more };
    return this.send({ ...about, code, code_verifier: this.keeper.codeVerifier() });
  }

  refresh(token: string, more: Record<string, string> = {}): Promise<Response> {
    return this.send({ grant_type: "refresh_token", refresh_token: token, ...more });
  }

  /** @returns null where the scope was refused, which must end nothing */
  async ask(code: string, scope: string): Promise<Tokens | null> {
    const isFirst = this.#refresh === "";
    const answer = await (isFirst ? this.exchange(code, { scope }) : this.refresh(this.#refresh, { scope }));
    const body = await answer.json<Tokens & { error?: string }>();
    if (answer.status !== 200) {
      expect([answer.status, body.error]).toEqual([400, "invalid_scope"]);
      return null;
    }
    this.#refresh = body.refresh_token;
    return body;
  }
}
