import { estimateTokenCount } from "tokenx";
import * as meta from "../../store/meta.ts";
import { asObject, numberAt, parseObject } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import { canonicalModel } from "./context-window.ts";

export interface Factor {
  /** Tokens of the model per token of tokenx. */
  readonly factor: number;
  readonly samples: number;
}

/** Stored as JSON in `meta`, by canonical model id; the last learned is last. */
export type Factors = Readonly<Record<string, Factor>>;

/** Claude up to 4.6 counts about 15 to 20 % more than the o200k tokens that tokenx imitates. */
const oldFactor = 1.2;
/** Claude Opus 4.7 and later: about 30 % more (1.2 x 1.3). Unknown models: better too many. */
const newFactor = 1.5;

/** Ten new measurements make nine tenths of the factor. */
const learningRate = 0.2;
/** No tokenizer is further off: other pairs did not measure the same text. */
const factorBounds = { min: 0.5, max: 4 };
const maxRatio = 5;
/** Framing distorts the ratio of fewer tokens. */
const minLearnTokens = 500;
const maxModels = 50;

/** tokenx needs about 80 ms for a million characters; longer texts are sampled at both ends. */
const sampleChars = 100_000;

const metaKey = "token_factors";

/** [SI8] Returns whole tokens, never to be shown without saying that they are an estimate. */
export function estimateTokens(text: string, model: string | null, factors: Factors = {}): number {
  return Math.round(plainTokens(text) * factorOf(factors, model));
}

/** [SI9] Exponentially weighted mean; skips pairs that are too small or absurd. */
export function learn(factors: Factors, model: string, estimated: number, measured: number): Factors {
  const ratio = measured / estimated;
  const key = canonicalModel(model);
  const isUsable = estimated >= minLearnTokens && ratio >= 1 / maxRatio && ratio <= maxRatio;
  if (!isUsable || key.length > 200) return factors;
  const old = factorOf(factors, model);
  const moved = old + learningRate * (old * ratio - old);
  const learned = { factor: clamp(moved), samples: (entryOf(factors, key)?.samples ?? 0) + 1 };
  const others = Object.entries(factors).filter(([name]) => name !== key);
  return Object.fromEntries([...others, [key, learned] as const].slice(-maxModels));
}

/** Leaves out what cannot be read. */
export function loadFactors(sql: Sql): Factors {
  const entries = Object.entries(parseObject(meta.read(sql, metaKey) ?? "{}") ?? {}).flatMap(([model, value]) => {
    const factor = numberAt(asObject(value), "factor");
    const samples = numberAt(asObject(value), "samples");
    return factor === null || samples === null ? [] : [[model, { factor: clamp(factor), samples }] as const];
  });
  return Object.fromEntries(entries.slice(-maxModels));
}

export function saveFactors(sql: Sql, factors: Factors): void {
  meta.write(sql, metaKey, JSON.stringify(factors));
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

function clamp(factor: number): number {
  return Math.min(factorBounds.max, Math.max(factorBounds.min, factor));
}
