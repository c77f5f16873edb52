import {
  Client,
  StreamableHTTPClientTransport,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type StoredOAuthClientInformation,
  type StoredOAuthTokens,
} from "@modelcontextprotocol/client";
import { expect, onTestFinished } from "vitest";
import { origin, request } from "./support.ts";

export const redirectUrl = "https://client.example/callback";

/** What a client keeps, and where it sends the user. */
export class Keeper implements OAuthClientProvider {
  readonly redirectUrl: string;
  clientMetadataUrl?: string;
  readonly clientMetadata: OAuthClientMetadata;
  sentTo: URL | null = null;
  #discovered: OAuthDiscoveryState | undefined;
  #client: StoredOAuthClientInformation | undefined;
  #tokens: StoredOAuthTokens | undefined;
  #verifier = "";

  constructor(redirect = redirectUrl) {
    this.redirectUrl = redirect;
    this.clientMetadata = {
      client_name: "Notes <b>& more</b>",
      redirect_uris: [redirect],
      token_endpoint_auth_method: "none",
    };
  }

  state(): string {
    return "state-of-the-client";
  }
  clientInformation(): StoredOAuthClientInformation | undefined {
    return this.#client;
  }
  saveClientInformation(given: StoredOAuthClientInformation): void {
    this.#client = given;
  }
  tokens(): StoredOAuthTokens | undefined {
    return this.#tokens;
  }
  saveTokens(given: StoredOAuthTokens): void {
    this.#tokens = given;
  }
  saveDiscoveryState(found: OAuthDiscoveryState): void {
    this.#discovered = found;
  }
  discoveryState(): OAuthDiscoveryState | undefined {
    return this.#discovered;
  }
  redirectToAuthorization(url: URL): void {
    this.sentTo = url;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  get access(): string {
    return this.#tokens?.access_token ?? "";
  }
}

export function pathOf(url: string | URL): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}

function ask(url: string | URL, init?: RequestInit): Promise<Response> {
  return request(pathOf(url), init);
}

function transportOf(authProvider: Keeper): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { fetch: ask, authProvider });
}

interface Form {
  readonly html: string;
  readonly headers: Headers;
  readonly status: number;
  readonly send: (fields: Record<string, string>, cookie?: string) => Promise<Response>;
}

/** The page, as a browser has it. */
export async function open(url: URL, before?: Response): Promise<Form> {
  const page = before ?? (await request(pathOf(url)));
  const html = await page.text();
  const handle = /name="handle" value="([^"]*)"/.exec(html)?.[1] ?? "";
  const own = page.headers.get("set-cookie")?.split(";")[0] ?? "";
  const send = (fields: Record<string, string>, cookie = own): Promise<Response> =>
    request(pathOf(url), {
      method: "POST",
      redirect: "manual",
      headers: { "content-type": "application/x-www-form-urlencoded", cookie },
      body: new URLSearchParams({ handle, ...fields }).toString(),
    });
  return { html, headers: page.headers, status: page.status, send };
}

/** A client up to the page of consent. */
export async function begin(
  keeper = new Keeper(),
): Promise<{ keeper: Keeper; url: URL; transport: StreamableHTTPClientTransport }> {
  const transport = transportOf(keeper);
  const client = new Client({ name: "oauth", version: "1" });
  await expect(client.connect(transport)).rejects.toThrow(/unauthorized/i);
  if (!keeper.sentTo) throw new Error("the client has sent the user nowhere");
  return { keeper, url: keeper.sentTo, transport };
}

/** A client that has been given its tokens, and has not connected yet. */
export async function signIn(token: string, keeper = new Keeper()): Promise<Keeper> {
  const { url, transport } = await begin(keeper);
  const answer = await (await open(url)).send({ decision: "allow", token });
  const location = new URL(answer.headers.get("location") ?? "");
  expect([answer.status, location.origin + location.pathname]).toEqual([302, redirectUrl]);
  expect(Object.fromEntries(location.searchParams)).toMatchObject({ state: keeper.state(), iss: origin });
  await transport.finishAuth(location.searchParams);
  return keeper;
}

export async function connect(keeper: Keeper): Promise<Client> {
  const client = new Client({ name: "oauth", version: "1" });
  await client.connect(transportOf(keeper));
  onTestFinished(() => client.close());
  return client;
}
