import type { ClientCapabilities } from "@modelcontextprotocol/client";
import { expect } from "vitest";
import { connect, eras, mcpHeaders, ping, post } from "./remote-client.ts";
import { bearer, it } from "./support.ts";

const extension = "io.modelcontextprotocol/ui";
const mimeType = "text/html;profile=mcp-app";
const uri = "ui://shim/fleet";
const showsApps = { extensions: { [extension]: { mimeTypes: [mimeType] } } };
const modes = Object.entries(eras);

it.for(modes)(
  "[RM18] a client of %s that shows apps gets the fleet's page with the tool that lists chats",
  async ([, mode], { workspace }) => {
    const client = await connect(workspace.token, mode, showsApps);
    expect(client.getServerCapabilities()).toMatchObject({ resources: {}, extensions: { [extension]: {} } });
    const { tools } = await client.listTools();
    const linked = tools.filter(({ _meta }) => _meta?.["ui"] !== undefined);
    expect(linked).toMatchObject([{ name: "chats_list", _meta: { ui: { resourceUri: uri } } }]);
    const { resources } = await client.listResources();
    const policy = { ui: { csp: {}, permissions: { clipboardWrite: {} }, prefersBorder: true } };
    expect(resources).toMatchObject([{ uri, mimeType, _meta: policy }]);
    expect((await client.listResourceTemplates()).resourceTemplates).toEqual([]);
    const { contents } = await client.readResource({ uri });
    expect(contents).toMatchObject([{ uri, mimeType, _meta: policy }]);
    expect(contents).toEqual([expect.objectContaining({ text: expect.stringMatching(/^<!doctype html>\n<html/) })]);
    await expect(client.readResource({ uri: "ui://shim/other" })).rejects.toThrow(/not found/i);
  },
);

const without: readonly (readonly [string, ClientCapabilities])[] = [
  ["declares nothing", {}],
  ["shows another kind of app", { extensions: { [extension]: { mimeTypes: ["text/html"] } } }],
  ["names no kind", { extensions: { [extension]: {} } }],
  ["has another extension", { extensions: { "example.com/ui": { mimeTypes: [mimeType] } } }],
];

it.for(modes.flatMap(([era, mode]) => without.map(([what, capabilities]) => ({ era, mode, what, capabilities }))))(
  "[RM18] a client of $era that $what gets nothing of the page",
  async ({ mode, capabilities }, { workspace }) => {
    const shown = await connect(workspace.token, mode, showsApps);
    const client = await connect(workspace.token, mode, capabilities);
    expect(client.getServerCapabilities()).toEqual({ tools: {} });
    const { tools } = await client.listTools();
    expect(JSON.stringify(tools)).not.toContain("_meta");
    const all = (await shown.listTools()).tools.map(({ _meta, ...tool }) => tool);
    expect(tools).toEqual(all);
    await expect(client.readResource({ uri })).rejects.toThrow();
  },
);

const initialize = (capabilities: object): object => ({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "old", version: "1" } },
});

it("[RM1] [RM18] an older client gets a session only if it shows apps, and nothing of it is kept", async ({
  workspace,
}) => {
  const own = bearer(workspace.token);
  expect((await post(own, initialize({}))).headers.get("mcp-session-id")).toBeNull();
  const answer = await post(own, initialize(showsApps));
  const session = answer.headers.get("mcp-session-id") ?? "";
  expect([answer.status, session]).toEqual([200, expect.stringMatching(/^apps\.[0-9a-f-]{36}$/)]);
  const again = await post(own, initialize(showsApps));
  expect(again.headers.get("mcp-session-id")).not.toBe(session);
  const list = { ...ping, method: "tools/list" };
  const listed = async (headers: Record<string, string>): Promise<string> =>
    (await post({ ...mcpHeaders, ...own, ...headers }, list)).text();
  expect(await listed({ "mcp-session-id": session })).toContain(uri);
  expect(await listed({ "mcp-session-id": "another" })).not.toContain(uri);
  const { token } = await workspace.tokenOf("observe");
  expect((await post({ ...bearer(token), "mcp-session-id": session }, list)).status).toBe(200);
  expect((await post({ "mcp-session-id": session }, list)).status).toBe(401);
});

it("[RM20] the page takes nothing from elsewhere, by its own policy", async ({ workspace }) => {
  const client = await connect(workspace.token, eras["2026-07-28"], showsApps);
  const { contents } = await client.readResource({ uri });
  const [{ text = "" } = {}] = contents as { text?: string }[];
  const [, policy = ""] = /Content-Security-Policy" content="([^"]+)"/.exec(text) ?? [];
  expect(policy.split("; ")).toEqual([
    "default-src 'none'",
    expect.stringMatching(/^script-src 'sha256-[\w+/=]{44}'$/),
    expect.stringMatching(/^style-src 'sha256-[\w+/=]{44}'$/),
    "base-uri 'none'",
    "form-action 'none'",
  ]);
  // Of the standards for SVG and MathML, which are never fetched.
  const hosts = text.match(/(?:https?:)?\/\/[a-z][\w.-]*\.[a-z]+[^\s"'`)]*/g) ?? [];
  expect(hosts.filter((one) => !one.startsWith("http://www.w3.org/"))).toEqual([]);
  expect(text.match(/<(?:link|img|iframe|script src)/g)).toBeNull();
});
