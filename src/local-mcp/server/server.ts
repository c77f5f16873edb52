import { CLIENT_INFO_META_KEY, type JSONRPCMessage, McpServer, type ServerContext } from "@modelcontextprotocol/server";
import * as z from "zod";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { StoreError } from "../../store/store-error.ts";
import type { Chat, ClientInfo, ToolError } from "./chat/chat.ts";
import { serverInfo } from "../front/handshake.ts";
import { instructions } from "../front/instructions.ts";
import { isWithoutHooks } from "../front/without-hooks.ts";
import { registerResources } from "./resources.ts";
import { registerResumePrompt } from "./resume-prompt.ts";
import { toListed, type Tool } from "./tools/tool.ts";
import { autoCheckpoint } from "./tools/auto-checkpoint.ts";
import { chats } from "./tools/chats.ts";
import { checkRecovery } from "./tools/check-recovery.ts";
import { clearState } from "./tools/clear-state.ts";
import { files } from "./tools/files.ts";
import { forceCheckpoint } from "./tools/force-checkpoint.ts";
import { inbox } from "./tools/inbox.ts";
import { monitorSignals } from "./tools/monitor-signals.ts";
import { next } from "./tools/next.ts";
import { report } from "./tools/report.ts";
import { send } from "./tools/send.ts";
import { sessionStatus } from "./tools/session-status.ts";
import { stateSet } from "./tools/state-set.ts";
import { submit } from "./tools/submit.ts";
import { stackOf } from "../../shared/error.ts";

export const tools: readonly Tool[] = [
  autoCheckpoint,
  checkRecovery,
  monitorSignals,
  sessionStatus,
  forceCheckpoint,
  clearState,
];

export const teamTools: readonly Tool[] = [chats, submit, next, report, send, inbox, files, stateSet];

export interface ServerOptions {
  readonly chat: Chat;
  readonly version: string;
  /** Given in the handshake; null: not known yet. */
  readonly clientName?: string | null;
  /** Started from the bundle of Claude Desktop. */
  readonly isExtension?: boolean;
  readonly afterAnswer: (work: () => void) => void;
}

export function createServer(options: ServerOptions): McpServer {
  const server = new McpServer(
    { ...serverInfo, version: options.version },
    { instructions: instructions(options.chat.runtime, options.chat.team !== null, options.clientName) },
  );
  registerAll(server, options);
  return server;
}

export function registerAll(server: McpServer, options: ServerOptions): void {
  const { chat } = options;
  for (const tool of chat.team ? [...tools, ...teamTools] : tools) register(server, tool, options);
  registerResources(server, chat);
  registerResumePrompt(server, chat, options.isExtension ?? false);
}

function register(server: McpServer, tool: Tool, options: ServerOptions): void {
  const { name, title, annotations, withoutHooks } = tool;
  const isLeading = withoutHooks && isWithoutHooks(options.chat.runtime.env, options.clientName ?? null);
  const config = {
    title,
    description: isLeading ? `${tool.description} ${withoutHooks.description}` : tool.description,
    annotations,
    inputSchema: toListed(tool.input, isLeading ? [] : withoutHooks?.fields),
    outputSchema: toListed(tool.output),
  };
  server.registerTool(name, config, async (input: unknown, { mcpReq }: ServerContext) => {
    try {
      readClientInfo(options.chat, mcpReq.envelope);
      options.chat.setCaller(mcpReq._meta);
      const result = await call(tool, options.chat, input);
      options.afterAnswer(() => countExchange(options.chat, input, result));
      return result;
    } catch (error) {
      return toErrorResult(options.chat, toToolError(options.chat, tool.name, error));
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

interface CallResult {
  [key: string]: unknown;
  content: { type: "text"; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

async function call(tool: Tool, chat: Chat, input: unknown): Promise<CallResult> {
  const result = await tool.run(chat, input);
  const notices = chat.notices().map((notice) => withCommand(chat, notice));
  if (!result.ok) return toErrorResult(chat, result.error, notices);
  const { text, output } = result.value;
  const structured: Record<string, unknown> = { ...(output as object), ...(notices.length > 0 ? { notices } : {}) };
  const { session } = structured;
  if (tool.name === "shim_check_recovery" && typeof session === "string") chat.cancelOffer(session);
  // [MC5]
  const offerText = typeof session === "string" ? chat.offerOnce(session) : null;
  const parts = [
    ...notices.map((notice) => `NOTICE: ${notice}`),
    text,
    ...(offerText ? [withCommand(chat, offerText)] : []),
  ];
  return { content: parts.map((part) => ({ type: "text", text: part })), structuredContent: structured };
}

function countExchange(chat: Chat, input: unknown, result: CallResult): void {
  const session = result.structuredContent?.["session"];
  if (typeof session !== "string") return;
  try {
    chat.exchanges.count(session, JSON.stringify([input, result.content]));
  } catch (error) {
    chat.runtime.log("warn", "the length of an answer was not counted", { error: String(error) });
  }
}

function toErrorResult(chat: Chat, error: ToolError, notices: readonly string[] = []): CallResult {
  const text = [...notices.map((notice) => `NOTICE: ${notice}`), `${error.code}: ${error.message}`].join("\n");
  return { isError: true, content: [{ type: "text", text: withCommand(chat, text) }] };
}

function withCommand({ runtime }: Chat, text: string): string {
  return withShimCommand(text, () => shimCommand(runtime));
}

/** [MC6] Storage errors are reported, never answered as if saved. */
function toToolError(chat: Chat, tool: string, error: unknown): ToolError {
  chat.runtime.log("error", `${tool} failed`, {
    error: stackOf(error),
  });
  if (error instanceof StoreError) {
    return { code: error.code, message: `Nothing was saved. ${error.message} Tell the user.` };
  }
  return {
    code: "internal",
    message:
      "Internal error in SHIM; nothing was saved by this call. `shim doctor` shows where the log with the details is.",
  };
}
