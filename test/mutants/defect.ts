/** A defect that a careless change would make. */
export interface Mutant {
  /** Number of the law in docs/laws.md that it breaks. */
  readonly law: number;
  readonly file: string;
  /** What would go wrong. */
  readonly why: string;
  /** Exact text, once in the file. */
  readonly find: string;
  readonly replace: string;
}

export function defect(law: number, file: string, why: string, [find, replace]: readonly [string, string]): Mutant {
  return { law, file, why, find, replace };
}
