import { estimateTokenCount, type LanguageConfig } from "tokenx";
import { canonicalModel } from "../../../shared/model-name.ts";

export interface TokenEstimate {
  /** Whole tokens. */
  readonly tokens: number;
  /** About nine of ten texts of some hundred tokens lie between the bounds. */
  readonly low: number;
  readonly high: number;
}

/** Claude up to 4.6 counts about 15 to 20 % more than o200k. */
const oldFactor = 1.2;
/** Claude Opus 4.7 and later: about 30 % more (1.2 x 1.3). Unknown models: better too many. */
const newFactor = 1.5;
/** Other vocabularies of 100,000 entries and more. Not measured: o200k and a reserve for digits. */
const otherFactor = 1.2;
/** OpenAI since GPT-4o has o200k itself. */
const o200kModel = /(?:^|[/:])(?:gpt-(?:4o|4\.\d|[5-9]|\d\d|oss)|o[1-9]|chatgpt|codex)/;
const otherModel = /(?:^|[/:])(?:gemini|gemma|qwen|deepseek|kimi|glm|grok|\w*stral|llama|minimax)/;

/** Spread of kinds of text (code, prose, languages) around one factor. */
const spread = 1.65;

/** A million characters would take more than 100 ms; longer texts are sampled at both ends. */
const sampleChars = 100_000;

/** Returns whole tokens, never to be shown without saying that they are an estimate. */
export function estimateTokens(text: string, model: string | null): number {
  return Math.round(o200kTokens(text) * (model === null ? newFactor : factorOf(canonicalModel(model))));
}

/** Pure. */
export function estimateRange(text: string, model: string | null): TokenEstimate {
  const tokens = estimateTokens(text, model);
  return { tokens, low: Math.floor(tokens / spread), high: Math.ceil(tokens * spread) };
}

function factorOf(key: string): number {
  if (o200kModel.test(key)) return 1;
  if (otherModel.test(key)) return otherFactor;
  return hasOldTokenizer(key) ? oldFactor : newFactor;
}

function hasOldTokenizer(model: string): boolean {
  if (/claude-(3|instant|2)/.test(model)) return true;
  const [, major, minor] = /claude-(?:opus|sonnet|haiku)-(\d)(?:-(\d))?(?!\d)/.exec(model) ?? [];
  return major !== undefined && Number(major) * 10 + Number(minor ?? 0) < 47;
}

/** Keys, hashes and encoded files, which tokenx takes for a few long words. */
const denseRuns: readonly LanguageConfig[] = [
  { pattern: /^(?=[0-9a-f]{4,}$|[0-9A-F]{4,}$)(?=.*\d)(?=.*[a-f])/i, averageCharsPerToken: 1.75 },
  {
    pattern: /^(?=[A-Za-z0-9]{10,}$)(?=.*[A-Z][A-Z0-9])(?=.*[a-z][A-Z0-9])(?=.*[A-Z0-9][a-z])/,
    averageCharsPerToken: 1.5,
  },
];

/** Scripts of which tokenx knows nothing, or too little; fitted to o200k. */
const scripts: readonly LanguageConfig[] = [
  { pattern: /[\u0600-\u06ff]/, averageCharsPerToken: 3.4 },
  { pattern: /[\u0590-\u05ff]/, averageCharsPerToken: 3 },
  { pattern: /[\u0e00-\u0eff]/, averageCharsPerToken: 2.7 },
  { pattern: /[\u0900-\u097f]/, averageCharsPerToken: 3.6 },
  { pattern: /[\u0980-\u0bff]/, averageCharsPerToken: 3.4 },
  { pattern: /[\u0c00-\u0d7f]/, averageCharsPerToken: 2.8 },
  { pattern: /[\u0d80-\u0dff\u1000-\u109f\u1780-\u17ff]/, averageCharsPerToken: 1.8 },
  // Letters of Ukrainian that Russian lacks: its words are in the vocabulary less often.
  { pattern: /[\u0456\u0457\u0454\u0491]/i, averageCharsPerToken: 2.8 },
  { pattern: /[\u3040-\u30ff]/, averageCharsPerToken: 1.55 },
  { pattern: /[\u3400-\u9fff]/, averageCharsPerToken: 1.45 },
  { pattern: /[\uac00-\ud7af]/, averageCharsPerToken: 1.85 },
];

/**
 * Tokens of o200k (OpenAI since GPT-4o) without its vocabulary of 2.4 MB, which takes 0.4 s
 * and 70 MB to load. Linear. Mostly within 15 % for 500 characters and more of English, code, JSON,
 * Arabic, Japanese or base64; up to 20 % too few for some languages, 30 % for listings and logs.
 * For a limit take `estimateTokens(text, null)`, which is a half more.
 */
export function o200kTokens(text: string): number {
  if (text.length <= 2 * sampleChars) return estimateWhole(text);
  const sample = text.slice(0, sampleChars) + text.slice(-sampleChars);
  return estimateWhole(sample) * (text.length / sample.length);
}

function estimateWhole(text: string): number {
  // Each pattern is compared with each word: only those that the text needs.
  const languageConfigs = [...denseRuns, ...scripts.filter(({ pattern }) => pattern.test(text))];
  return estimateTokenCount(text, { languageConfigs });
}
