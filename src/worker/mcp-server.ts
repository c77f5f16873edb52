import {
  createMcpHandler,
  Server,
  type Tool,
  type CallToolResult,
  ProtocolError,
  ProtocolErrorCode,
} from "@modelcontextprotocol/server";
import { protocolVersion } from "../contract/protocol.ts";
import { logProblem } from "../durable/log-problem.ts";
import { dataWarning, fence, age } from "../shared/format.ts";
import type { TokenCaller } from "./callers.ts";
import * as z from "zod";
import { type Operation, scopes, type Scope } from "../contract/operation.ts";
import {
  offeredOn,
  operations,
  type OfferedOn,
  type OperationName,
  type InputOf,
  type OutputOf,
} from "../contract/operations.ts";
import { isRead } from "../shared/check-input.ts";
import type { Failure } from "../contract/errors.ts";
import type { Self } from "../contract/values.ts";
import { redactInput } from "../redaction/redact-json.ts";
import { messageOf } from "../shared/error.ts";
import { err, fail, ok, type Result } from "../shared/result.ts";
import { beginningOf } from "../shared/shorten.ts";
import { toRefusal, check } from "./inputs.ts";

/** The list of a token never changes. */
const hint = { ttlMs: 3_600_000, cacheScope: "private" } as const;

/** Answers one request of either era; nothing of it is kept. */
export async function serveMcp(caller: TokenCaller, request: Request, parsedBody: unknown): Promise<Response> {
  const handler = createMcpHandler(() => createServer(caller), {
    // A stream would wait for changes that never come.
    maxSubscriptions: 0,
    onerror: (error) => logProblem("an MCP request was refused", { error: error.message }),
  });
  return handler.fetch(request, { parsedBody });
}

function createServer(caller: TokenCaller): Server {
  const server = new Server(
    { name: "shim-coordinator", title: "SHIM", version: String(protocolVersion) },
    {
      capabilities: { tools: {} },
      instructions: instructionsFor(caller),
      cacheHints: { "tools/list": hint },
    },
  );
  const visible = [...remoteTools.values()].filter(({ operation }) => isVisible(operation, caller.claims.scope));
  const tools = visible.map(({ listed }) => listed);
  server.setRequestHandler("tools/list", () => ({ tools }));
  server.setRequestHandler("tools/call", ({ params }) => callTool(caller, params.name, params.arguments));
  return server;
}

function instructionsFor({ workspace, claims }: TokenCaller): string {
  return [
    `The team of chats in the SHIM workspace ${workspace}; scope ${claims.scope}.`,
    dataWarning.replace(" in it", ""),
    "Tasks are taken by chats that run on machines, not here. Contents of sessions are sealed and cannot be read here.",
  ].join(" ");
}

/** Claims are missing: nothing keeps one between two requests. */
export type Offered = OfferedOn<"remote">;

/** Fields that name the caller: the token says it. */
const filledFields = ["self", "by"] as const;
export type FilledField = (typeof filledFields)[number];

export interface RemoteTool {
  readonly operation: Offered;
  /** Names the caller in these. */
  readonly filled: readonly FilledField[];
  readonly input: z.ZodObject;
  readonly listed: Tool;
}

const remoteTools: ReadonlyMap<string, RemoteTool> = new Map(offeredOn("remote").map(toTool));

function isVisible(operation: OperationName, scope: Scope): boolean {
  return scopes.indexOf(scope) >= scopes.indexOf(operations[operation].scope);
}

function toTool(operation: Offered): [name: string, tool: RemoteTool] {
  const { input: whole, summary, method, isDestructive }: Operation = operations[operation];
  const filled = filledFields.filter((field) => Object.hasOwn(whole.shape, field));
  const isOwn = ([field]: [string, unknown]): boolean => !filledFields.some((one) => one === field);
  const input = z.strictObject(Object.fromEntries(Object.entries(whole.shape).filter(isOwn)));
  // Clients of models accept no dot in a name.
  const name = operation.replaceAll(/[.-]/g, "_");
  const { $schema: _, ...inputSchema } = z.toJSONSchema(input, { io: "input" });
  const annotations = {
    readOnlyHint: isRead(operation),
    destructiveHint: isDestructive ?? false,
    idempotentHint: method !== "POST",
    openWorldHint: false,
  };
  const listed = { name, description: summary, inputSchema: inputSchema as Tool["inputSchema"], annotations };
  return [name, { operation, filled, input, listed }];
}

/** Bytes, not characters: a token is at least one and a half of them. */
const maxAnswerBytes = 36_000;
const maxFieldChars = 8_000;

/** @throws {ProtocolError} for a tool that the token does not have */
async function callTool(caller: TokenCaller, name: string, given: unknown): Promise<CallToolResult> {
  const tool = remoteTools.get(name);
  if (!tool || !isVisible(tool.operation, caller.claims.scope)) {
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `this token has no tool ${JSON.stringify(name)}`);
  }
  // Otherwise the SDK would answer with the message of the failure.
  const answer = await runTool(caller, tool, given).catch((error: unknown): Result<string> => {
    logProblem("a tool failed", { error: messageOf(error) });
    return err(toRefusal(error));
  });
  if (!answer.ok) return toErrorResult(answer.error);
  const { operation } = tool;
  const isQuoted = isRead(operation) || operation === "messages.pull";
  return toResult(isQuoted ? `${dataWarning}\n${fence("data", answer.value)}` : answer.value);
}

async function runTool(
  caller: TokenCaller,
  { operation, filled, input: schema }: RemoteTool,
  given: unknown,
): Promise<Result<string>> {
  const checked = check(schema, given ?? {});
  if (!checked.ok) return err({ ...checked.error, message: `${operation}: ${checked.error.message}` });
  const named = await fillFields(caller, filled);
  if (!named.ok) return named;
  // Checked against the operation's own schema; TypeScript cannot follow that.
  const input = { ...checked.value, ...named.value } as InputOf<Offered>;
  return callFitting(caller, operation, redactInput(operation, input).input);
}

async function fillFields(
  caller: TokenCaller,
  filled: readonly FilledField[],
): Promise<Result<{ readonly self?: Self; readonly by?: string }>> {
  // One remote chat for each token; it exists from its first message on.
  const chat = `mcp:${caller.claims.id}`;
  if (!filled.includes("self")) return ok(filled.includes("by") ? { by: chat } : {});
  const { machine } = caller.claims;
  // The same process each time, so a chat that was offline continues.
  const about = { chat, session: chat, process: "remote", machine, client: "mcp", capacity: 0 };
  const registered = await caller.stub.call(caller.credentials, "chats.register", about);
  if (!registered.ok) return registered;
  const { incarnation } = JSON.parse(registered.value) as OutputOf<"chats.register">;
  return ok({ self: { chat, incarnation } });
}

/** Halves a page until it fits; the cursor then belongs to the shorter page. */
async function callFitting(
  caller: TokenCaller,
  name: Offered,
  input: InputOf<Offered> & { readonly limit?: number | undefined },
): Promise<Result<string>> {
  const answer = await caller.stub.call(caller.credentials, name, input);
  if (!answer.ok) return answer;
  const text = leaveOut(name, answer.value);
  const { limit = 1 } = input;
  if (fits(text)) return ok(text);
  if (limit > 1) return callFitting(caller, name, { ...input, limit: Math.floor(limit / 2) });
  const cut = JSON.stringify(JSON.parse(text, shortened));
  if (fits(cut)) return ok(cut);
  return fail("too_large", `the answer of ${name} is too long for a model; use the HTTP API`);
}

function fits(text: string): boolean {
  return new TextEncoder().encode(text).length <= maxAnswerBytes;
}

/** Values that only machines of the workspace can open. */
const sealed: Partial<Record<OperationName, string>> = { "sync.list": "envelope", "chats.list": "metadata" };

function leaveOut(name: Offered, text: string): string {
  const field = sealed[name];
  if (field === undefined) return text;
  return JSON.stringify(JSON.parse(text, (key, value: unknown) => (key === field ? undefined : value)));
}

/** Fields of any JSON, which alone may be longer than an answer. */
const large: ReadonlySet<string> = new Set(["payload", "result", "checkpoint", "value", "body"]);

function shortened(field: string, value: unknown): unknown {
  const text = large.has(field) ? JSON.stringify(value) : "";
  return text.length <= maxFieldChars ? value : `${beginningOf(text, maxFieldChars)} The HTTP API returns all.`;
}

function toResult(text: string): CallToolResult {
  return { content: [{ type: "text", text }] };
}

function toErrorResult({ code, message, retryAfterMs }: Failure): CallToolResult {
  const later = retryAfterMs === undefined ? "" : ` Try again in ${age(Math.max(retryAfterMs, 1_000))}.`;
  return { ...toResult(`${code}: ${message.replace(/\.?$/, ".")}${later}`), isError: true };
}
