import { estimateTokenCount } from "tokenx";
import { canonicalModel } from "../shared/model-name.ts";

export interface Factor {
  /** Tokens of the model per token of tokenx. */
  readonly factor: number;
  readonly samples: number;
  /** Mean square of the logarithm of measured / estimated; absent: not measured yet. */
  readonly variance?: number;
}

/** By canonical model id; the last learned is last. */
export type Factors = Readonly<Record<string, Factor>>;

export interface TokenEstimate {
  /** Whole tokens. */
  readonly tokens: number;
  /** About nine of ten texts of some hundred tokens lie between the bounds. */
  readonly low: number;
  readonly high: number;
  /** learned: from counts of the API for this model; default: from its tokenizer's family. */
  readonly source: "learned" | "default";
  /** Measurements behind the factor. */
  readonly samples: number;
}

/** Claude up to 4.6 counts about 15 to 20 % more than the o200k tokens that tokenx imitates. */
const oldFactor = 1.2;
/** Claude Opus 4.7 and later: about 30 % more (1.2 x 1.3). Unknown models: better too many. */
const newFactor = 1.5;

/** Ten new measurements make nine tenths of the factor. */
const learningRate = 0.2;
/** Slower than the factor: rare large errors belong to the range. */
const varianceRate = 0.1;
/** No tokenizer is further off: other pairs did not measure the same text. */
const factorBounds = { min: 0.5, max: 4 };
const maxRatio = 5;
/** Framing distorts the ratio of fewer tokens. */
const minLearnTokens = 500;
export const maxModels = 50;

/** Spread of kinds of text (code, prose, languages) around one factor, as a logarithm. */
const defaultVariance = 0.25 ** 2;
/** Weight of the default spread against measured ones. */
const defaultSamples = 5;
/** Logarithms of errors have heavier tails than a normal distribution's 1.645. */
const rangeWidth = 2;

/** tokenx needs about 80 ms for a million characters; longer texts are sampled at both ends. */
const sampleChars = 100_000;

/** [SI8] Returns whole tokens, never to be shown without saying that they are an estimate. */
export function estimateTokens(text: string, model: string | null, factors: Factors = {}): number {
  return Math.round(plainTokens(text) * factorOf(factors, model));
}

/** [RT1] [RT2] Pure. A range from the errors of earlier estimates for this model. */
export function estimateRange(text: string, model: string | null, factors: Factors = {}): TokenEstimate {
  const tokens = estimateTokens(text, model, factors);
  const learned = model === null ? undefined : entryOf(factors, canonicalModel(model));
  const spread = Math.exp(rangeWidth * Math.sqrt(varianceOf(learned)));
  return {
    tokens,
    low: Math.floor(tokens / spread),
    high: Math.ceil(tokens * spread),
    source: learned ? "learned" : "default",
    samples: learned?.samples ?? 0,
  };
}

/** [SI9] Exponentially weighted mean; skips pairs that are too small or absurd. */
export function learn(factors: Factors, model: string, estimated: number, measured: number): Factors {
  const ratio = measured / estimated;
  const key = canonicalModel(model);
  const isUsable = estimated >= minLearnTokens && ratio >= 1 / maxRatio && ratio <= maxRatio;
  if (!isUsable || key.length > 200) return factors;
  const before = entryOf(factors, key);
  const old = factorOf(factors, model);
  const moved = old + learningRate * (old * ratio - old);
  const variance = nextVariance(before, Math.log(ratio) ** 2);
  const learned = { factor: clampFactor(moved), samples: (before?.samples ?? 0) + 1, variance };
  const others = Object.entries(factors).filter(([name]) => name !== key);
  return Object.fromEntries([...others, [key, learned] as const].slice(-maxModels));
}

/** The plain mean of the first measurements, then an exponentially weighted one. */
function nextVariance(before: Factor | undefined, squaredError: number): number {
  if (before?.variance === undefined) return squaredError;
  const rate = Math.max(varianceRate, 1 / (before.samples + 1));
  return before.variance + rate * (squaredError - before.variance);
}

function varianceOf(learned: Factor | undefined): number {
  if (learned?.variance === undefined) return defaultVariance;
  const { samples, variance } = learned;
  return (defaultSamples * defaultVariance + samples * variance) / (defaultSamples + samples);
}

function factorOf(factors: Factors, model: string | null): number {
  if (model === null) return newFactor;
  const key = canonicalModel(model);
  return entryOf(factors, key)?.factor ?? (hasOldTokenizer(key) ? oldFactor : newFactor);
}

function entryOf(factors: Factors, key: string): Factor | undefined {
  return Object.hasOwn(factors, key) ? factors[key] : undefined;
}

function hasOldTokenizer(model: string): boolean {
  if (/claude-(3|instant|2)/.test(model)) return true;
  const [, major, minor] = /claude-(?:opus|sonnet|haiku)-(\d)(?:-(\d))?(?!\d)/.exec(model) ?? [];
  return major !== undefined && Number(major) * 10 + Number(minor ?? 0) < 47;
}

function plainTokens(text: string): number {
  if (text.length <= 2 * sampleChars) return estimateTokenCount(text);
  const sample = text.slice(0, sampleChars) + text.slice(-sampleChars);
  return estimateTokenCount(sample) * (text.length / sample.length);
}

export function clampFactor(factor: number): number {
  return Math.min(factorBounds.max, Math.max(factorBounds.min, factor));
}
