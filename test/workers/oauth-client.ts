import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { expect, onTestFinished } from "vitest";
import { Keeper, openForm, redirectUrl, type Form } from "#harness/edge/oauth-keeper.ts";
import { origin, request } from "./support.ts";

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

/** The page, as a browser has it. */
export function open(url: URL, before?: Response): Promise<Form> {
  return openForm(ask, url, before);
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
