import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { text as textFrom } from "node:stream/consumers";
import { isRecord, listAt, parseObject, textAt, type JsonObject } from "#src/shared/json-fields.ts";

export interface ToolCall {
  /** A tool of an MCP server is `mcp__<server>__<tool>`, whatever the client calls it. */
  readonly name: string;
  readonly input?: Readonly<Record<string, unknown>>;
}

/** What the stand-in does with one request of a conversation's main loop. */
export interface Step {
  readonly text?: string;
  readonly tools?: readonly ToolCall[];
  readonly error?: { readonly status: number; readonly type: string; readonly message: string };
  /** The request waits until the test calls `release` with this name. */
  readonly hold?: string;
  /** The answer comes so much later. */
  readonly waitMs?: number;
  /** How many tokens the request had, as the model says. */
  readonly inputTokens?: number;
}

type MakeStep = (request: ModelRequest) => Step;

/** A function makes its step when the request is there; one function instead of a list makes all steps. */
export type Steps = readonly (Step | MakeStep)[] | MakeStep;

/** @property summary answers the request for one: a text, or a step */
export type Script = Readonly<{ steps: Steps; summary?: string | Step; onRequest?: () => void }>;

export interface ModelRequest {
  readonly kind: "loop" | "aside" | "summary" | "count" | "unknown";
  readonly path: string;
  /** Null where the request carried no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | null;
  readonly messages: readonly { readonly role: string; readonly text: string }[];
}

export type ScriptedModel = Awaited<ReturnType<typeof startScriptedModel>>;

/** Of answers, over all scripts: a client may take two with one id for the same. */
let serial = 0;

/** Where the script has run out, so that a client never works on for ever. */
const SCRIPT_ENDED = "The script has ended.";

/** In the last message of a request for a summary: Claude Code, Qwen Code and Gemini CLI. */
const SUMMARY_PROMPT = /create a detailed summary of the conversation|<state_snapshot>/;

/**
 * A stand-in of the APIs of models on loopback that plays a script; the path of a request chooses the API. It
 * speaks JSON and server-sent events, as the request asks.
 */
export async function startScriptedModel(script: Script) {
  const requests: ModelRequest[] = [];
  /** By `hold`: that a request has come, and that it may continue. */
  const gates = new Map<string, Record<"arrival" | "exit", PromiseWithResolvers<void>>>();
  const nextStep = play(script.steps);

  const gate = (name: string) => {
    const known = gates.get(name) ?? { arrival: Promise.withResolvers<void>(), exit: Promise.withResolvers<void>() };
    gates.set(name, known);
    return known;
  };

  const stepFor = (request: ModelRequest): Step => {
    if (request.kind === "aside") return { text: "ok" };
    const { summary = "<summary>A summary.</summary>" } = script;
    if (request.kind === "summary") return typeof summary === "string" ? { text: summary } : summary;
    return nextStep(request);
  };

  const answer = async (request: ModelRequest, response: ServerResponse): Promise<void> => {
    if (request.kind === "unknown")
      return sendError(response, { status: 404, type: "not_found_error", message: request.path });
    // A rough figure: it only has to be there and to grow.
    const { length } = JSON.stringify(request.body);
    if (request.kind === "count") return sendJson(response, 200, { input_tokens: Math.ceil(length / 4) });
    const step = stepFor(request);
    if (step.hold !== undefined) {
      gate(step.hold).arrival.resolve();
      await gate(step.hold).exit.promise;
    }
    if (step.waitMs !== undefined) await pause(step.waitMs, undefined, { ref: false });
    if (step.error) sendError(response, step.error);
    else send(response, request, replyTo(request, step, ++serial));
  };

  const server = createServer((incoming, response) => {
    readRequest(incoming)
      .then((request) => {
        requests.push(request);
        if (request.kind === "loop") script.onRequest?.();
        return answer(request, response);
      })
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    requests,
    /** Resolves when a request has reached the step with this `hold`. */
    held: (name: string) => gate(name).arrival.promise,
    release: (name: string) => gate(name).exit.resolve(),
    close: async () => {
      for (const { exit } of gates.values()) exit.resolve();
      server.closeAllConnections();
      await server[Symbol.asyncDispose]();
    },
  };
}

function play(steps: Steps): MakeStep {
  if (typeof steps === "function") return steps;
  const queue = [...steps];
  return (request) => {
    const step = queue.shift() ?? { text: SCRIPT_ENDED };
    return typeof step === "function" ? step(request) : step;
  };
}

async function readRequest(incoming: IncomingMessage): Promise<ModelRequest> {
  const body = parseObject(await textFrom(incoming));
  const path = new URL(incoming.url ?? "/", "http://stand-in").pathname;
  const messages = body && formatOf(path) ? messagesIn(body) : [];
  return { kind: kindOf(path, body, messages), path, body, messages };
}

function kindOf(path: string, body: ModelRequest["body"], messages: ModelRequest["messages"]): ModelRequest["kind"] {
  if (path === "/v1/messages/count_tokens") return "count";
  if (!formatOf(path) || !body) return "unknown";
  if (messages.findLast(({ role }) => role === "user")?.text.match(SUMMARY_PROMPT)) return "summary";
  return toolsIn(body).length > 0 ? "loop" : "aside";
}

function replyTo({ body }: ModelRequest, { text, tools = [], inputTokens = 1_000 }: Step, serial: number) {
  const calls = tools.map(({ name, input = {} }) => ({ name, input }));
  return { serial, model: String(body?.["model"]), text, calls, inputTokens };
}

function send(response: ServerResponse, { path, body }: ModelRequest, reply: Reply): void {
  const format = formatOf(path);
  if (!format || !body) throw new Error(`${path} is no request to a model.`);
  if (body["stream"] === true || path.endsWith(":streamGenerateContent"))
    sendStream(response, format.events(reply, body), reply.serial);
  else sendJson(response, 200, format.whole(reply, body));
}

function sendStream(response: ServerResponse, events: readonly SentEvent[], serial: number): void {
  response.writeHead(200, { "content-type": "text/event-stream", "request-id": `req_of_msg_${serial}` });
  for (const { event, data } of events) {
    const name = event === null ? "" : `event: ${event}\n`;
    response.write(`${name}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  }
  response.end();
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

function sendError(response: ServerResponse, { status, type, message }: NonNullable<Step["error"]>): void {
  sendJson(response, status, { type: "error", error: { type, message } });
}

/** What the model answers, for every API the same; the serial number is part of all ids. */
type Reply = ReturnType<typeof replyTo>;

const output_tokens = 20;

type SentEvent = Readonly<{ event: string | null; data: object | string }>;

/** How an API of models writes an answer. */
interface WireFormat {
  readonly path: RegExp;
  whole(reply: Reply, body: JsonObject): object;
  events(reply: Reply, body: JsonObject): SentEvent[];
}

/** Messages of a request to any of the APIs; calls and results stand in their text. */
function messagesIn(body: JsonObject): ModelRequest["messages"] {
  const items = ["messages", "input", "contents"].flatMap((name) => listAt(body, name)).filter(isRecord);
  return items.map((item) => {
    // An item of the Responses API that is no message is a call or its output.
    const role = textAt(item, "role") ?? (String(item["type"]).endsWith("_output") ? "tool" : "assistant");
    return { role, text: textOf(item) };
  });
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.filter(isRecord).map(textOf).join("\n");
  if (!isRecord(value)) return "";
  const { text, content, output, parts, tool_calls: calls } = value;
  const inner = text ?? content ?? output ?? parts;
  if (typeof inner !== "string" && !Array.isArray(inner)) return JSON.stringify(value);
  return calls === undefined ? textOf(inner) : `${textOf(inner)}\n${JSON.stringify(calls)}`;
}

/** Codex gives the newest models their tools in an item of the conversation; some are in a namespace. */
function toolsIn(body: JsonObject): JsonObject[] {
  const items = listAt(body, "input").filter(isRecord);
  const late = items.filter(({ type }) => type === "additional_tools").flatMap((item) => listAt(item, "tools"));
  return [...listAt(body, "tools"), ...late].filter(isRecord).flatMap((tool) => {
    if (tool["type"] !== "namespace") return [tool];
    const tools = listAt(tool, "tools").filter(isRecord);
    return tools.map((one) => Object.assign({ namespace: tool["name"] }, one));
  });
}

/** The Messages API of Anthropic: Claude Code. */
const messages: WireFormat = {
  path: /^\/v1\/messages$/,
  whole: messageOf,
  events(reply) {
    const message = messageOf(reply);
    const sent: SentEvent[] = [];
    const add = (type: string, data: object): unknown => sent.push({ event: type, data: { type, ...data } });
    add("message_start", { message: { ...message, content: [], stop_reason: null } });
    for (const [index, block] of message.content.entries()) {
      const isText = block.type === "text";
      add("content_block_start", { index, content_block: isText ? { ...block, text: "" } : { ...block, input: {} } });
      const delta = isText
        ? { type: "text_delta", text: block.text }
        : { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
      add("content_block_delta", { index, delta });
      add("content_block_stop", { index });
    }
    const { stop_reason, stop_sequence } = message;
    add("message_delta", { delta: { stop_reason, stop_sequence }, usage: { output_tokens } });
    add("message_stop", {});
    return sent;
  },
};

function messageOf({ serial, model, text, calls, inputTokens: input_tokens }: Reply) {
  const uses = calls.map((call, index) => ({ type: "tool_use" as const, id: `toolu_${serial}_${index}`, ...call }));
  const texts = text === undefined ? [] : [{ type: "text" as const, text }];
  const stop = { stop_reason: calls.length > 0 ? "tool_use" : "end_turn", stop_sequence: null };
  const counts = { input_tokens, output_tokens, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const about = { id: `msg_${serial}`, type: "message", role: "assistant", model };
  return { ...about, content: [...texts, ...uses], ...stop, usage: counts };
}

/** The Responses API of OpenAI: Codex. */
const responses: WireFormat = {
  path: /\/responses$/,
  whole: responseOf,
  events(reply, body) {
    const response = responseOf(reply, body);
    const sent: SentEvent[] = [];
    const add = (type: string, data: object): unknown =>
      sent.push({ event: type, data: { type, sequence_number: sent.length, ...data } });
    add("response.created", { response: { ...response, status: "in_progress", output: [], usage: null } });
    for (const [output_index, item] of response.output.entries()) {
      add("response.output_item.added", { output_index, item });
      add("response.output_item.done", { output_index, item });
    }
    add("response.completed", { response });
    return sent;
  },
};

function responseOf({ serial, model, text, calls, inputTokens: input_tokens }: Reply, body: JsonObject) {
  const content = [{ type: "output_text", text, annotations: [] }];
  const message = { type: "message", id: `item_${serial}`, role: "assistant", status: "completed", content };
  const items = calls.map((call, index) => callItem(call, `${serial}_${index}`, body));
  const output = [...(text === undefined ? [] : [message]), ...items];
  const details = { input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } };
  const about = { id: `resp_${serial}`, object: "response", status: "completed", model };
  const counts = { input_tokens, output_tokens, total_tokens: input_tokens + output_tokens };
  return { ...about, output, usage: { ...counts, ...details } };
}

/** A tool that takes free text is offered as `custom`; those of an MCP server are called in a namespace. */
function callItem({ name, input }: Reply["calls"][number], id: string, body: JsonObject): JsonObject {
  const common = { id: `item_${id}`, call_id: `call_${id}`, status: "completed" };
  const offered = toolsIn(body).find((tool) => tool["name"] === name);
  if (offered?.["type"] === "custom")
    return { type: "custom_tool_call", ...common, name, namespace: offered["namespace"], input: input["input"] };
  const [, namespace = offered?.["namespace"], tool = name] = /^(mcp__\w+?)__(\w+)$/.exec(name) ?? [];
  const named = namespace === undefined ? { name } : { name: tool, namespace };
  return { type: "function_call", ...common, ...named, arguments: JSON.stringify(input) };
}

/** The Chat Completions API of OpenAI: Copilot CLI, OpenCode, Qwen Code. */
const chatCompletions: WireFormat = {
  path: /\/chat\/completions$/,
  whole: (reply) => {
    const { common, message, finish_reason, usage } = completionOf(reply);
    const choices = [{ index: 0, message, finish_reason }];
    return { ...common, object: "chat.completion", choices, usage };
  },
  events(reply) {
    const { common, message, finish_reason, usage } = completionOf(reply);
    const own = { ...common, object: "chat.completion.chunk" };
    const chunk = (choices: readonly object[], more: object = {}) => ({
      event: null,
      data: { ...own, choices, ...more },
    });
    return [
      chunk([{ index: 0, delta: message, finish_reason: null }]),
      chunk([{ index: 0, delta: {}, finish_reason }]),
      chunk([], { usage }),
      { event: null, data: "[DONE]" },
    ];
  },
};

function completionOf({ serial, model, text, calls, inputTokens }: Reply) {
  const tool_calls = calls.map(({ name, input }, index) => ({
    index,
    id: `call_${serial}_${index}`,
    type: "function",
    function: { name, arguments: JSON.stringify(input) },
  }));
  return {
    common: { id: `chatcmpl_${serial}`, created: 0, model },
    message: { role: "assistant", content: text ?? null, ...(calls.length > 0 ? { tool_calls } : {}) },
    finish_reason: calls.length > 0 ? "tool_calls" : "stop",
    usage: {
      prompt_tokens: inputTokens,
      completion_tokens: output_tokens,
      total_tokens: inputTokens + output_tokens,
      prompt_tokens_details: { cached_tokens: 0 },
    },
  };
}

/** The Gemini API: Gemini CLI. */
const gemini: WireFormat = {
  path: /\/models\/[^/]+:(streamGenerateContent|generateContent)$/,
  whole: candidateOf,
  events: (reply) => [{ event: null, data: candidateOf(reply) }],
};

function candidateOf({ serial, model, text, calls, inputTokens }: Reply): object {
  const parts = [
    ...(text === undefined ? [] : [{ text }]),
    ...calls.map(({ name, input }, index) => ({ functionCall: { id: `call_${serial}_${index}`, name, args: input } })),
  ];
  const sums = { promptTokenCount: inputTokens, totalTokenCount: inputTokens + output_tokens };
  const counts = { ...sums, candidatesTokenCount: output_tokens, cachedContentTokenCount: 0 };
  const candidates = [{ index: 0, content: { role: "model", parts }, finishReason: "STOP" }];
  return { candidates, modelVersion: model, responseId: `gen_${serial}`, usageMetadata: counts };
}

const formats = [messages, responses, chatCompletions, gemini];

const formatOf = (path: string): WireFormat | undefined => formats.find((format) => format.path.test(path));
