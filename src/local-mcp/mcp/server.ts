import {
  CLIENT_INFO_META_KEY,
  type JSONRPCMessage,
  McpServer,
  type ServerContext,
  type StandardSchemaWithJSON,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { StoreError } from "../../store/store-error.ts";
import type { Chat, ClientInfo, ToolError } from "./chat/chat.ts";
import { instructions, isWithoutHooks } from "../front/instructions.ts";
import { registerPrompts } from "./prompts.ts";
import { teamTools, type ChatTool, machineTools } from "../../contract/tools.ts";
import type { ToolAnswer, ToolName } from "./tools/tool.ts";
import type { Result } from "../../shared/result.ts";
import { stackOf } from "../../shared/error.ts";

export interface ServerOptions {
  readonly chat: Chat;
  readonly version: string;
  /** Given in the handshake; null: not known yet. */
  readonly clientName?: string | null;
  /** Started from the bundle of Claude Desktop. */
  readonly isExtension?: boolean;
  /** Called when a call has its result. */
  readonly afterAnswer: () => void;
}

export function createServer(options: ServerOptions): McpServer {
  const server = new McpServer(
    { name: "shim", title: "SHIM", version: options.version },
    { instructions: instructions(options.chat.runtime, options.chat.team !== null, options.clientName) },
  );
  registerAll(server, options);
  return server;
}

function registerAll(server: McpServer, options: ServerOptions): void {
  const { chat } = options;
  const offered: Partial<Record<ToolName, ChatTool>> = chat.team ? { ...machineTools, ...teamTools } : machineTools;
  for (const [name, tool] of Object.entries(offered)) register(server, name as ToolName, tool, options);
  registerPrompts(server, options);
}

function register(server: McpServer, name: ToolName, tool: ChatTool, options: ServerOptions): void {
  const { title, effect, isRepeatable, withoutHooks } = tool;
  const isLeading = withoutHooks && isWithoutHooks(options.chat.runtime.env, options.clientName ?? null);
  const config = {
    title,
    description: isLeading ? `${tool.description} ${withoutHooks.description}` : tool.description,
    annotations: {
      readOnlyHint: effect === "read",
      destructiveHint: effect === "destructive",
      idempotentHint: isRepeatable,
      openWorldHint: false,
    },
    inputSchema: toListed(tool.input, isLeading ? [] : withoutHooks?.fields),
    outputSchema: toListed(tool.output),
  };
  server.registerTool(name, config, async (input: unknown, { mcpReq }: ServerContext) => {
    try {
      readClientInfo(options.chat, mcpReq.envelope);
      options.chat.setCaller(mcpReq._meta);
      const result = await call(name, options.chat, input);
      options.afterAnswer();
      return result;
    } catch (error) {
      return toErrorResult(options.chat, toToolError(options.chat, name, error));
    }
  });
}

const Info = z.object({ name: z.string(), version: z.string() });
const Envelope = z.object({ [CLIENT_INFO_META_KEY]: Info });
const Initialize = z.object({ clientInfo: Info });

/** From `initialize`, or the envelope of later revisions; null in any other message. */
export function clientInfoIn(message: JSONRPCMessage): ClientInfo | null {
  if (!("method" in message)) return null;
  const envelope = Envelope.safeParse(message.params?.["_meta"]);
  if (envelope.success) return envelope.data[CLIENT_INFO_META_KEY];
  return Initialize.safeParse(message.params).data?.clientInfo ?? null;
}

/** Requests of protocol revision 2026-07-28 and later name their client. */
function readClientInfo(chat: Chat, envelope: unknown): void {
  const parsed = Envelope.safeParse(envelope);
  if (parsed.success) chat.setClientInfo(parsed.data[CLIENT_INFO_META_KEY]);
}

type AnyHandler = (chat: Chat, input: unknown) => Promise<Result<ToolAnswer<object>, ToolError>>;

interface CallResult {
  [key: string]: unknown;
  content: { type: "text"; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

async function call(name: ToolName, chat: Chat, input: unknown): Promise<CallResult> {
  // A client that has connected waits for its list of tools, which needs none of their code.
  const { toolHandlers } = await import("./tools/handlers.ts");
  // The SDK has checked the input by the tool's schema.
  const result = await (toolHandlers[name] as AnyHandler)(chat, input);
  const notices = chat.notices().map((notice) => withCommand(chat, notice));
  if (!result.ok) return toErrorResult(chat, result.error, notices);
  const { text, output } = result.value;
  const structured: Record<string, unknown> = { ...output, ...(notices.length > 0 ? { notices } : {}) };
  const { session } = structured;
  if (name === "shim_check_recovery" && typeof session === "string") chat.cancelOffer(session);
  const offerText = typeof session === "string" ? chat.offerOnce(session) : null;
  const parts = [
    ...notices.map((notice) => `NOTICE: ${notice}`),
    text,
    ...(offerText ? [withCommand(chat, offerText)] : []),
  ];
  return { content: parts.map((part) => ({ type: "text", text: part })), structuredContent: structured };
}

function toErrorResult(chat: Chat, error: ToolError, notices: readonly string[] = []): CallResult {
  const text = [...notices.map((notice) => `NOTICE: ${notice}`), `${error.code}: ${error.message}`].join("\n");
  return { isError: true, content: [{ type: "text", text: withCommand(chat, text) }] };
}

function withCommand({ runtime }: Chat, text: string): string {
  return withShimCommand(text, () => shimCommand(runtime));
}

/** Storage errors are reported, never answered as if saved. */
function toToolError(chat: Chat, tool: string, error: unknown): ToolError {
  chat.runtime.log("error", `${tool} failed`, { error: stackOf(error) });
  if (error instanceof StoreError) {
    return { code: error.code, message: `Nothing was saved. ${error.message} Tell the user.` };
  }
  return {
    code: "internal",
    message:
      "Internal error in SHIM; nothing was saved by this call. `shim doctor` shows where the log with the details is.",
  };
}

/**
 * Shortens a schema for the tool list, where every word costs each chat tokens. What is
 * omitted is still checked, and a refusal names the limit.
 */
function toListed(schema: z.ZodType, hiddenFields: readonly string[] = []): StandardSchemaWithJSON {
  const standard = schema["~standard"];
  const { input, output } = standard.jsonSchema;
  return {
    "~standard": {
      ...standard,
      jsonSchema: {
        input: (options) => ({
          ...(shorten(withoutFields(input(options), hiddenFields), omittedFromInput) as Record<string, unknown>),
          additionalProperties: false,
        }),
        output: (options) => shorten(output(options), omittedFromAnswer) as Record<string, unknown>,
      },
    },
  };
}

function withoutFields(schema: Record<string, unknown>, hidden: readonly string[]): Record<string, unknown> {
  const kept = Object.entries(schema["properties"] ?? {}).filter(([name]) => !hidden.includes(name));
  return { ...schema, properties: Object.fromEntries(kept) };
}

const omittedFromInput: ReadonlySet<string> = new Set(["$schema", "default", "additionalProperties"]);
const omittedFromAnswer: ReadonlySet<string> = new Set(["$schema", "required", "additionalProperties"]);

function shorten(schema: unknown, omitted: ReadonlySet<string>): unknown {
  if (Array.isArray(schema)) return schema.map((one) => shorten(one, omitted));
  if (typeof schema !== "object" || schema === null) return schema;
  const kept = Object.entries(schema).filter(([key, value]) => !isOmitted(key, value, omitted));
  return Object.fromEntries(kept.map(([key, value]) => [key, shorten(value, omitted)]));
}

const numberLimits: ReadonlySet<string> = new Set(["minimum", "maximum"]);
const sizeLimits: ReadonlySet<string> = new Set(["minLength", "maxLength", "minItems", "maxItems"]);

/** A property may have a keyword's name: its value is then a schema. */
function isOmitted(key: string, value: unknown, omitted: ReadonlySet<string>): boolean {
  if (typeof value === "number") return sizeLimits.has(key) || (numberLimits.has(key) && (value <= 1 || value >= 20));
  return (
    omitted.has(key) && (typeof value !== "object" || Array.isArray(value) || Object.keys(value ?? {}).length === 0)
  );
}
