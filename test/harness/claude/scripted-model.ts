import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { isRecord, listAt, parseObject } from "#src/shared/json-fields.ts";

export interface ToolCall {
  readonly name: string;
  readonly input?: Readonly<Record<string, unknown>>;
}

export interface Usage {
  readonly input_tokens?: number;
  readonly output_tokens?: number;
  readonly cache_creation_input_tokens?: number;
  readonly cache_read_input_tokens?: number;
}

/** What the stand-in does with one request of a conversation's main loop. */
export interface Step {
  readonly text?: string;
  readonly tools?: readonly ToolCall[];
  readonly usage?: Usage;
  readonly error?: { readonly status: number; readonly type: string; readonly message: string };
  /** The request waits until the test calls `release` with this name. */
  readonly hold?: string;
  /** The answer comes so much later. */
  readonly waitMs?: number;
  /** How many requests in a row get this step; 1 when absent. A client repeats a request that was answered with an error. */
  readonly times?: number;
}

type MakeStep = (request: ModelRequest) => Step;

export interface Thread {
  /**
   * The thread serves conversations in which this text stands in a message of the user; absent: every one. The first match
   * counts. What the assistant wrote does not count: a subagent's prompt stands in the call of the chat that started it.
   */
  readonly match?: string;
  /**
   * A function makes its step when the request is there: it may hold what the step needs, such as the path of a plan. One
   * function instead of a list makes all steps.
   */
  readonly steps: readonly (Step | MakeStep)[] | MakeStep;
}

export interface Script {
  readonly threads: readonly Thread[];
  /** Answer to the client's request for a summary when it compacts. It takes no step. */
  readonly summary?: string;
  /** Called when a request of a conversation's main loop has come. */
  readonly onRequest?: () => void;
}

export type RequestKind = "loop" | "aside" | "summary" | "count" | "unknown";

export interface Message {
  readonly role: string;
  readonly text: string;
}

export interface ModelRequest {
  readonly kind: RequestKind;
  readonly path: string;
  /** Null where the request carried no JSON object. */
  readonly body: Readonly<Record<string, unknown>> | null;
  readonly messages: readonly Message[];
}

export interface ScriptedModel {
  readonly url: string;
  /** All requests so far, in the order in which they came. */
  readonly requests: readonly ModelRequest[];
  /** Resolves when a request has reached the step with this `hold`. */
  held(name: string): Promise<void>;
  release(name: string): void;
  close(): Promise<void>;
}

/** The text that ends a thread whose script has run out, so that a client never works on for ever. */
export const SCRIPT_ENDED = "The script has ended.";

const SUMMARY_PROMPT = "create a detailed summary of the conversation";

/** A stand-in of the Messages API on loopback that plays a script. It speaks JSON and server-sent events, as the request asks. */
export async function startScriptedModel(script: Script): Promise<ScriptedModel> {
  const requests: ModelRequest[] = [];
  const gates = new Map<string, Gate>();
  const nextStep = playThreads(script.threads);
  let serial = 0;

  const gate = (name: string): Gate => {
    const known = gates.get(name) ?? { arrival: Promise.withResolvers(), exit: Promise.withResolvers() };
    gates.set(name, known);
    return known;
  };

  const stepFor = (request: ModelRequest): Step => {
    if (request.kind === "aside") return { text: "ok" };
    if (request.kind === "summary") return { text: script.summary ?? "<summary>A summary.</summary>" };
    return nextStep(request);
  };

  const answer = async (request: ModelRequest, response: ServerResponse): Promise<void> => {
    if (request.kind === "unknown") return sendError(response, 404, "not_found_error", request.path);
    // A rough figure: it only has to be there and to grow.
    const { length } = JSON.stringify(request.body);
    if (request.kind === "count") return sendJson(response, 200, { input_tokens: Math.ceil(length / 4) });
    const step = stepFor(request);
    if (step.hold !== undefined) {
      gate(step.hold).arrival.resolve();
      await gate(step.hold).exit.promise;
    }
    if (step.waitMs !== undefined) await pause(step.waitMs, undefined, { ref: false });
    if (step.error) sendError(response, step.error.status, step.error.type, step.error.message);
    else if (request.body?.["stream"] === true) sendStream(response, replyTo(request, step, ++serial));
    else sendJson(response, 200, replyTo(request, step, ++serial));
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
    held: (name) => gate(name).arrival.promise,
    release: (name) => gate(name).exit.resolve(),
    close: () =>
      new Promise((resolve) => {
        for (const { exit } of gates.values()) exit.resolve();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Where a request is held: that it has come, and that it may continue. */
interface Gate {
  readonly arrival: PromiseWithResolvers<void>;
  readonly exit: PromiseWithResolvers<void>;
}

/** Each thread continues with its next step; a request that no thread matches is answered so, for the test to see. */
function playThreads(threads: readonly Thread[]): (request: ModelRequest) => Step {
  const queues = threads.map(({ steps }) =>
    typeof steps === "function"
      ? steps
      : steps.flatMap((step) => Array.from({ length: typeof step === "function" ? 1 : (step.times ?? 1) }, () => step)),
  );
  return (request) => {
    const ofUser = request.messages.filter(({ role }) => role === "user");
    const index = threads.findIndex(
      ({ match }) => match === undefined || ofUser.some(({ text }) => text.includes(match)),
    );
    if (index === -1) return { text: "No thread of the script matches this conversation." };
    const queue = queues[index];
    const step = (typeof queue === "function" ? queue : queue?.shift()) ?? { text: SCRIPT_ENDED };
    return typeof step === "function" ? step(request) : step;
  };
}

async function readRequest(incoming: IncomingMessage): Promise<ModelRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(Buffer.from(chunk));
  const path = new URL(incoming.url ?? "/", "http://stand-in").pathname;
  const body = parseObject(Buffer.concat(chunks).toString("utf8"));
  const messages = listAt(body, "messages")
    .filter(isRecord)
    .map((message) => ({ role: String(message["role"]), text: contentText(message["content"]) }));
  return { kind: kindOf(path, body, messages), path, body, messages };
}

function kindOf(path: string, body: ModelRequest["body"], messages: readonly Message[]): RequestKind {
  if (path === "/v1/messages/count_tokens") return "count";
  if (path !== "/v1/messages" || !body) return "unknown";
  if (messages.findLast(({ role }) => role === "user")?.text.includes(SUMMARY_PROMPT)) return "summary";
  return listAt(body, "tools").length > 0 ? "loop" : "aside";
}

/** Text, tool calls and tool results of a message as one string; blocks stand in lines of their own. */
function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .filter(isRecord)
    .map((block) => {
      if (block["type"] === "text") return String(block["text"]);
      if (block["type"] === "tool_result") return contentText(block["content"]);
      return JSON.stringify(block);
    })
    .join("\n");
}

type Reply = ReturnType<typeof replyTo>;

function replyTo(request: ModelRequest, step: Step, serial: number) {
  const calls = (step.tools ?? []).map((call, index) => ({
    type: "tool_use" as const,
    id: `toolu_${serial}_${index}`,
    name: call.name,
    input: call.input ?? {},
  }));
  const texts = step.text === undefined ? [] : [{ type: "text" as const, text: step.text }];
  return {
    id: `msg_${serial}`,
    type: "message",
    role: "assistant",
    model: String(request.body?.["model"]),
    content: [...texts, ...calls],
    stop_reason: calls.length > 0 ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage: {
      input_tokens: 1_000,
      output_tokens: 20,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      ...step.usage,
    },
  };
}

function sendStream(response: ServerResponse, reply: Reply): void {
  const send = (type: string, data: object) =>
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream", "request-id": `req_of_${reply.id}` });
  send("message_start", { message: { ...reply, content: [], stop_reason: null } });
  for (const [index, block] of reply.content.entries()) {
    const isText = block.type === "text";
    send("content_block_start", { index, content_block: isText ? { ...block, text: "" } : { ...block, input: {} } });
    const delta = isText
      ? { type: "text_delta", text: block.text }
      : { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
    send("content_block_delta", { index, delta });
    send("content_block_stop", { index });
  }
  const { stop_reason, stop_sequence, usage } = reply;
  send("message_delta", { delta: { stop_reason, stop_sequence }, usage: { output_tokens: usage.output_tokens } });
  send("message_stop", {});
  response.end();
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

function sendError(response: ServerResponse, status: number, type: string, message: string): void {
  sendJson(response, status, { type: "error", error: { type, message } });
}
