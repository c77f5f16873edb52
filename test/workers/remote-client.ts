import { Client, StreamableHTTPClientTransport, type ClientCapabilities } from "@modelcontextprotocol/client";
import { onTestFinished } from "vitest";
import { bearer, origin, request } from "./support.ts";

export const eras = { "2025-11-25": "legacy", "2026-07-28": { pin: "2026-07-28" } } as const;
type Mode = (typeof eras)[keyof typeof eras];

function ask(url: string | URL, init?: RequestInit): Promise<Response> {
  return request(new URL(url).pathname, init);
}

/** The official client, of the era that is asked for. */
export async function connect(
  token: string,
  mode: Mode = eras["2026-07-28"],
  capabilities: ClientCapabilities = {},
): Promise<Client> {
  const client = new Client({ name: "remote", version: "1" }, { versionNegotiation: { mode }, capabilities });
  const requestInit = { headers: bearer(token) };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { fetch: ask, requestInit }));
  onTestFinished(() => client.close());
  return client;
}

interface Called {
  readonly isError: boolean;
  readonly text: string;
  /** Of the JSON in it. */
  readonly value: unknown;
}

export async function call(client: Client, name: string, given: Record<string, unknown> = {}): Promise<Called> {
  const { content, isError = false } = await client.callTool({ name, arguments: given });
  const [first] = content as { text: string }[];
  const text = first?.text ?? "";
  return {
    isError,
    text,
    value: isError ? null : (JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)) as unknown),
  };
}

export const mcpHeaders = { "content-type": "application/json", accept: "application/json, text/event-stream" };

/** Any other request than a client's own. */
export function post(headers: Record<string, string>, body: unknown = ping, method = "POST"): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return request("/mcp", {
    method,
    headers: { ...mcpHeaders, ...headers },
    ...(method === "POST" ? { body: text } : {}),
  });
}

export const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

export async function errorOf(response: Response): Promise<[status: number, code: string, message: string]> {
  const { error } = await response.json<{ error: { code: string; message: string } }>();
  return [response.status, error.code, error.message];
}
