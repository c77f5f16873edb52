import { clampFactor, maxModels, type Factor, type Factors } from "../../routing/tokens.ts";
import { asObject, numberAt, parseObject } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

const metaKey = "token_factors";

/** Leaves out what cannot be read. */
export function loadFactors(sql: Sql): Factors {
  const entries = Object.entries(parseObject(meta.read(sql, metaKey) ?? "{}") ?? {}).flatMap(([model, value]) => {
    const entry = asObject(value);
    const factor = numberAt(entry, "factor");
    const samples = numberAt(entry, "samples");
    const variance = numberAt(entry, "variance");
    if (factor === null || samples === null) return [];
    const read: Factor = { factor: clampFactor(factor), samples, ...(variance === null ? {} : { variance }) };
    return [[model, read] as const];
  });
  return Object.fromEntries(entries.slice(-maxModels));
}

export function saveFactors(sql: Sql, factors: Factors): void {
  meta.write(sql, metaKey, JSON.stringify(factors));
}
