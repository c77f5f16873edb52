import type { JsonObject } from "#src/shared/json-fields.ts";

export interface ToolCall {
  /** A tool of an MCP server is `mcp__<server>__<tool>`, whatever the client calls it. */
  readonly name: string;
  readonly input?: Readonly<Record<string, unknown>>;
}

/** In the names of the Messages API. */
export interface Usage {
  readonly input_tokens?: number;
  readonly output_tokens?: number;
  readonly cache_creation_input_tokens?: number;
  readonly cache_read_input_tokens?: number;
}

export interface Message {
  readonly role: string;
  readonly text: string;
}

/** What the model answers, for every API the same. */
export interface Reply {
  /** Number of the answer; part of all ids. */
  readonly serial: number;
  readonly model: string;
  readonly text: string | undefined;
  readonly calls: readonly { readonly name: string; readonly input: JsonObject }[];
  readonly usage: Required<Usage>;
}

/** One server-sent event; the text `[DONE]` is sent as it is. */
export interface SentEvent {
  readonly event: string | null;
  readonly data: object | string;
}

/** One API of models on the wire: what a request says, and how an answer is written. */
export interface WireFormat {
  isPath(path: string): boolean;
  isStream(path: string, body: JsonObject): boolean;
  messages(body: JsonObject): Message[];
  /** Whether the request is one of a conversation's main loop: others offer no tools. */
  hasTools(body: JsonObject): boolean;
  whole(reply: Reply, body: JsonObject): object;
  events(reply: Reply, body: JsonObject): SentEvent[];
}
