import { clampFactor, maxModels, type Factors, estimateTokens, learn } from "../../routing/tokens.ts";
import { asObject, numberAt, parseObject } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";
import type { TranscriptPart } from "./transcript.ts";

const metaKey = "token_factors";

/** Leaves out what cannot be read. */
export function loadFactors(sql: Sql): Factors {
  const entries = Object.entries(parseObject(meta.read(sql, metaKey) ?? "{}") ?? {}).flatMap(([model, value]) => {
    const entry = asObject(value);
    const factor = numberAt(entry, "factor");
    const samples = numberAt(entry, "samples");
    if (factor === null || samples === null) return [];
    return [[model, { factor: clampFactor(factor), samples }] as const];
  });
  return Object.fromEntries(entries.slice(-maxModels));
}

export function saveFactors(sql: Sql, factors: Factors): void {
  meta.write(sql, metaKey, JSON.stringify(factors));
}

/** Estimating a longer answer would take longer than a hook may. */
const maxChars = 20_000;

/** [SI26] Thinking missing from the transcript makes the factor too large: a cautious error. */
export function calibrate(sql: Sql, part: TranscriptPart): void {
  const model = part.usage.at(-1)?.model;
  const measured = part.usage.reduce((sum, one) => sum + one.outputTokens, 0);
  if (!model || measured === 0 || part.skippedBytes > 0) return;
  const assistantTexts = part.texts.filter((text) => text.role === "assistant").map((text) => text.text);
  const callTexts = part.toolCalls.map((call) => JSON.stringify({ name: call.name, input: call.input }));
  const text = [...assistantTexts, ...callTexts].join("\n");
  if (text.length > maxChars) return;
  const factors = loadFactors(sql);
  const learned = learn(factors, model, estimateTokens(text, model, factors), measured);
  if (learned !== factors) saveFactors(sql, learned);
}
