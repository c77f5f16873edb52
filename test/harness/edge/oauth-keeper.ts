import type * as mcp from "@modelcontextprotocol/client";

export const redirectUrl = "https://client.example/callback";

export class Keeper implements mcp.OAuthClientProvider {
  readonly redirectUrl: string;
  clientMetadataUrl?: string;
  readonly clientMetadata: mcp.OAuthClientMetadata;
  sentTo: URL | null = null;
  #discovered: mcp.OAuthDiscoveryState | undefined;
  #client: mcp.StoredOAuthClientInformation | undefined;
  #tokens: mcp.StoredOAuthTokens | undefined;
  #verifier = "";

  constructor(redirect = redirectUrl) {
    this.redirectUrl = redirect;
    const about = { client_name: "Notes <b>& more</b>", token_endpoint_auth_method: "none" };
    this.clientMetadata = { ...about, redirect_uris: [redirect] };
  }

  readonly state = (): string => "state-of-the-client";
  readonly clientInformation = (): mcp.StoredOAuthClientInformation | undefined => this.#client;
  readonly saveClientInformation = (given: mcp.StoredOAuthClientInformation): void => void (this.#client = given);
  readonly tokens = (): mcp.StoredOAuthTokens | undefined => this.#tokens;
  readonly saveTokens = (given: mcp.StoredOAuthTokens): void => void (this.#tokens = given);
  readonly saveDiscoveryState = (found: mcp.OAuthDiscoveryState): void => void (this.#discovered = found);
  readonly discoveryState = (): mcp.OAuthDiscoveryState | undefined => this.#discovered;
  readonly redirectToAuthorization = (url: URL): void => void (this.sentTo = url);
  readonly saveCodeVerifier = (verifier: string): void => void (this.#verifier = verifier);
  readonly codeVerifier = (): string => this.#verifier;

  /** The server reports that what it keeps is of no use. */
  invalidateCredentials(which: "all" | "client" | "tokens" | "verifier" | "discovery"): void {
    if (which === "all" || which === "tokens") this.#tokens = undefined;
    if (which === "all" || which === "client") this.#client = undefined;
  }

  get access(): string {
    return this.#tokens?.access_token ?? "";
  }
}

export interface Form {
  readonly html: string;
  readonly headers: Headers;
  readonly status: number;
  readonly send: (fields: Record<string, string>, cookie?: string) => Promise<Response>;
  /** Pastes the token. @returns the next page */
  readonly paste: (token: string) => Promise<Form>;
  /** Pastes the token, and allows what the next page shows. */
  readonly allow: (token: string) => Promise<Response>;
}

type Ask = (url: URL, init?: RequestInit) => Promise<Response>;

/** A page of consent, as a browser has it. */
export async function openForm(ask: Ask, url: URL, before?: Response): Promise<Form> {
  const page = before ?? (await ask(url));
  const html = await page.text();
  const handle = /name="handle" value="([^"]*)"/.exec(html)?.[1] ?? "";
  const own = page.headers.get("set-cookie")?.split(";")[0] ?? "";
  const send = (fields: Record<string, string>, cookie = own): Promise<Response> =>
    ask(url, {
      method: "POST",
      redirect: "manual",
      headers: { "content-type": "application/x-www-form-urlencoded", cookie },
      body: new URLSearchParams({ handle, ...fields }).toString(),
    });
  const paste = async (token: string): Promise<Form> => openForm(ask, url, await send({ decision: "allow", token }));
  const allow = async (token: string): Promise<Response> => (await paste(token)).send({ decision: "allow" });
  return { html, headers: page.headers, status: page.status, send, paste, allow };
}
