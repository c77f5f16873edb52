import { estimateRange, estimateTokens, learn, type Factors } from "../../routing/tokens.ts";
import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";

/** Pure. How far estimates are from what the API counted, by responses in transcripts. */

export interface TokenPair {
  readonly model: string;
  readonly text: string;
  /** Counted by the API. */
  readonly measured: number;
}

export interface TokenCheck {
  readonly pairs: number;
  /** Median of |estimate - measured| / measured; null without pairs. */
  readonly medianError: number | null;
  /** Nine of ten are below. */
  readonly p90Error: number | null;
  /** Share of measured counts between the bounds of their estimate. */
  readonly insideShare: number | null;
}

interface Response {
  readonly model: string;
  readonly texts: string[];
  measured: number;
  hasThinking: boolean;
}

/** The text that learning takes at least: framing distorts the ratio of fewer tokens. */
const minEstimated = 500;

/**
 * Responses of one model in sequence until they have enough text. Those with thinking are left out:
 * it is counted, and missing from the transcript.
 */
export function readPairs(lines: Iterable<string>): TokenPair[] {
  const pairs: TokenPair[] = [];
  const open = new Map<string, TokenPair>();
  for (const { model, texts, measured, hasThinking } of readResponses(lines)) {
    if (hasThinking || measured === 0) continue;
    const before = open.get(model);
    const text = [...(before ? [before.text] : []), ...texts].join("\n");
    const pair = { model, text, measured: (before?.measured ?? 0) + measured };
    const isWhole = estimateTokens(text, model) >= minEstimated;
    if (isWhole) pairs.push(pair);
    if (isWhole) open.delete(model);
    else open.set(model, pair);
  }
  return pairs;
}

function readResponses(lines: Iterable<string>): Iterable<Response> {
  const responses = new Map<string, Response>();
  for (const line of lines) {
    const part = line.includes('"assistant"') ? readPart(parseObject(line)) : null;
    if (part) addPart(responses, part);
  }
  return responses.values();
}

interface Part {
  readonly id: string;
  readonly model: string;
  readonly message: JsonObject;
}

function readPart(object: JsonObject | null): Part | null {
  const message = object?.["type"] === "assistant" ? objectAt(object, "message") : null;
  const id = textAt(message, "id", 200);
  const model = textAt(message, "model", 200);
  return message && id !== null && model !== null && model !== "<synthetic>" ? { id, model, message } : null;
}

/** The client writes a response block by block; the last count is complete. */
function addPart(responses: Map<string, Response>, { id, model, message }: Part): void {
  const response = responses.get(id) ?? { model, texts: [], measured: 0, hasThinking: false };
  responses.set(id, response);
  const counted = numberAt(objectAt(message, "usage"), "output_tokens") ?? 0;
  response.measured = Math.max(response.measured, counted);
  const blocks = listAt(message, "content").map(asObject);
  response.hasThinking ||= blocks.some((block) => /^(redacted_)?thinking$/.test(textAt(block, "type", 40) ?? ""));
  response.texts.push(...blocks.flatMap((block) => textOf(block) ?? []));
}

function textOf(block: JsonObject | null): string | null {
  if (block?.["type"] === "text") return textAt(block, "text");
  return block?.["type"] === "tool_use" ? JSON.stringify({ name: block["name"], input: block["input"] }) : null;
}

/** [RT4] Estimates each pair by what was learned from those before it, and then learns from it. */
export function checkEstimates(pairs: readonly TokenPair[], isLearning = true): TokenCheck {
  let factors: Factors = {};
  let inside = 0;
  const errors: number[] = [];
  for (const { model, text, measured } of pairs) {
    const { tokens, low, high } = estimateRange(text, model, factors);
    errors.push(Math.abs(tokens - measured) / measured);
    if (low <= measured && measured <= high) inside += 1;
    if (isLearning) factors = learn(factors, model, tokens, measured);
  }
  const sorted = errors.toSorted((a, b) => a - b);
  const quantile = (share: number): number | null => sorted[Math.ceil(sorted.length * share) - 1] ?? null;
  return {
    pairs: pairs.length,
    medianError: quantile(0.5),
    p90Error: quantile(0.9),
    insideShare: pairs.length === 0 ? null : inside / pairs.length,
  };
}
