import { createServer } from "node:http";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import type { McpUiHostCapabilities, McpUiHostContext } from "@modelcontextprotocol/ext-apps";
import { build } from "esbuild";
import type { FrameLocator, Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { serveInTest } from "#harness/edge/local-server.ts";
import { openTab } from "./browser.ts";

const mimeType = "text/html;profile=mcp-app";

/** What SEP-1865 has a client enforce for a page that declares no domains; a frame inherits it. */
const policy = [
  "default-src 'none'",
  "script-src 'self' 'unsafe-inline'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'none'",
].join("; ");

interface ToolCall {
  readonly name: string;
  readonly arguments?: Record<string, unknown>;
}

export interface AppClientOptions {
  /** Without it, whatever the page asks for is called. */
  readonly capabilities?: McpUiHostCapabilities;
  readonly hostContext?: McpUiHostContext;
  /** In place of the user, who may refuse a call. */
  readonly isAllowed?: (call: ToolCall) => boolean;
}

export interface AppClient {
  readonly client: Client;
  readonly page: Page;
  readonly app: FrameLocator;
  readonly faults: readonly string[];
  /** Tools that the page has called. */
  readonly calls: readonly ToolCall[];
  /** Calls a method of ext-apps' own bridge. */
  readonly bridge: (method: string, params: object) => Promise<unknown>;
}

/** The page of the client, which has nothing of SHIM in it. */
async function serveClientPage(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "app-client-page.mjs")],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
  });
  const script = outputFiles[0]?.text.replaceAll("</script", "<\\/script") ?? "";
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Client</title>
<style>iframe { width: 100%; border: 0; height: 600px }</style><body><main><h1>Client</h1></main><script>${script}</script></body></html>`;
  const headers = { "content-type": "text/html; charset=utf-8", "content-security-policy": policy };
  const server = createServer(({ url }, response) => {
    if (url === "/") response.writeHead(200, headers).end(html);
    else response.writeHead(204).end();
  });
  return `${await serveInTest(server)}/`;
}

/** The official client of the SDK, which says that it shows apps. */
async function connect(url: string, token: string): Promise<Client> {
  const capabilities = { extensions: { "io.modelcontextprotocol/ui": { mimeTypes: [mimeType] } } };
  const client = new Client({ name: "shows-apps", version: "1" }, { capabilities });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }));
  onTestFinished(() => client.close());
  return client;
}

/** The document that is linked to the tool. */
async function readApp(client: Client): Promise<string> {
  const tool = (await client.listTools()).tools.find(({ name }) => name === "chats_list");
  const ui = tool?._meta?.["ui"] as { readonly resourceUri: string } | undefined;
  const { contents } = await client.readResource({ uri: ui?.resourceUri ?? "" });
  const [{ text = "" } = {}] = contents as { text?: string }[];
  return text;
}

/** A client that shows the app of the tool `chats_list`, in a browser. */
export async function showApp(url: string, token: string, options: AppClientOptions = {}): Promise<AppClient> {
  const { capabilities = { serverTools: {} }, hostContext = {}, isAllowed = () => true } = options;
  const client = await connect(url, token);
  const html = await readApp(client);
  const { page, faults } = await openTab(await serveClientPage());
  const calls: ToolCall[] = [];
  await page.clock.install();
  await page.exposeFunction("callTool", async (call: ToolCall) => {
    calls.push(call);
    if (!isAllowed(call)) throw new Error("the user refused it");
    return client.callTool({ name: call.name, arguments: call.arguments ?? {} });
  });
  const given = { html, hostContext, capabilities };
  await page.evaluate(`showApp(${JSON.stringify(given)})`);
  const bridge = (method: string, params: object): Promise<unknown> =>
    page.evaluate(`bridge.${method}(${JSON.stringify(params)})`);
  return { client, page, app: page.frameLocator("iframe"), faults, calls, bridge };
}
