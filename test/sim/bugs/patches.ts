import type { SqlValue } from "#src/shared/sql.ts";
import { rowOf } from "../host/facts.ts";
import type { Patch, PatchFor } from "../host/recording-sql.ts";

/** How a statement of the engine is made to do something else. */

export type Values = SqlValue[];
export type Row = Record<string, SqlValue>;

/** A patch of every statement that fits. */
export function patched(shape: RegExp, patch: (query: string) => Patch): () => PatchFor {
  return () => (query) => (shape.test(query) ? patch(query) : undefined);
}

/** One column of an inserted row is stored otherwise. */
export function column(shape: RegExp, name: string, change: (value: number, row: Row) => SqlValue): () => PatchFor {
  return patched(shape, (query) => {
    const names = (/\(([^)]*)\)/.exec(query)?.[1] ?? "").split(",").map((one) => one.trim());
    const place = names.indexOf(name);
    return {
      run: (next, values) =>
        next(...values.map((value, at) => (at === place ? change(Number(value), rowOf(names, values)) : value))),
    };
  });
}

/** Now and then a statement does nothing and says that it did. */
export function swallowed(
  shape: RegExp,
  every: number,
  isMeant: (values: Values) => boolean = () => true,
): () => PatchFor {
  return () => {
    let count = 0;
    const isLost = (values: Values): boolean => isMeant(values) && (count += 1) % every === 0;
    return patched(shape, () => ({ run: (next, values) => (isLost(values) ? 1 : next(...values)) }))();
  };
}

/** Nothing is found. */
export function emptied(shape: RegExp): () => PatchFor {
  return patched(shape, () => ({ all: () => [] }));
}

/** What is read is not what is stored. */
export function misread(shape: RegExp, name: string, by: number): () => PatchFor {
  return patched(shape, () => ({
    all: (next, values) =>
      (next(...values) as Row[]).map((row) => Object.assign(row, { [name]: Number(row[name]) + by })),
  }));
}

/** A statement says something else. */
export function reworded(from: string, to: string): () => PatchFor {
  return () => (query) => (query.includes(from) ? { text: query.replace(from, to) } : undefined);
}
