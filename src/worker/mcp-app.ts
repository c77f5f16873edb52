import {
  CLIENT_CAPABILITIES_META_KEY,
  ResourceNotFoundError,
  type ReadResourceResult,
  type Resource,
  type Tool,
} from "@modelcontextprotocol/server";
import page from "../../dist/fleet-app.html";
import { asObject, listAt, objectAt } from "../shared/json-fields.ts";

/** MCP Apps (SEP-1865). */
export const appExtension = "io.modelcontextprotocol/ui";
const mimeType = "text/html;profile=mcp-app";
const uri = "ui://shim/fleet";
const shownBy = "chats_list";

const sessionHeader = "mcp-session-id";
const sessionPrefix = "apps.";

/** [RM18] */
export const appResources: readonly Resource[] = [
  {
    uri,
    name: "fleet",
    title: "Fleet",
    description: "Chats, tasks and leases of the workspace, as a page.",
    mimeType,
    _meta: { ui: { csp: {}, permissions: { clipboardWrite: {} }, prefersBorder: true } },
  },
];

export function readAppResource(asked: string): ReadResourceResult {
  const resource = appResources.find((one) => one.uri === asked);
  if (!resource) throw new ResourceNotFoundError(asked);
  return { contents: [{ uri, mimeType, text: page, _meta: resource._meta }] };
}

export function linkApp(tool: Tool): Tool {
  return tool.name === shownBy ? { ...tool, _meta: { ui: { resourceUri: uri } } } : tool;
}

/**
 * [RM18] Whether the client shows apps. One of 2026-07-28 says so in each request, an older one
 * once, in `initialize`; the session that it gets stands for this alone.
 */
export function showsApps(request: Request, body: unknown): boolean {
  const params = objectAt(asObject(body), "params");
  const declared = objectAt(objectAt(params, "_meta"), CLIENT_CAPABILITIES_META_KEY);
  const capabilities = declared ?? objectAt(params, "capabilities");
  const extension = objectAt(objectAt(capabilities, "extensions"), appExtension);
  const isKept = request.headers.get(sessionHeader)?.startsWith(sessionPrefix) ?? false;
  return isKept || listAt(extension, "mimeTypes").includes(mimeType);
}

/** [RM18] Names the session of an older client; nothing of it is kept. */
export function withAppSession(answer: Response): Response {
  const headers = new Headers(answer.headers);
  headers.set(sessionHeader, `${sessionPrefix}${crypto.randomUUID()}`);
  return new Response(answer.body, { status: answer.status, headers });
}
