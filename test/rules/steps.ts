import * as fc from "fast-check";

type Fields = Readonly<Record<string, fc.Arbitrary<unknown>>>;
type Step<Kind, Of extends Fields> = { kind: Kind } & {
  [Name in keyof Of]: Of[Name] extends fc.Arbitrary<infer Value> ? Value : never;
};

/** One kind of step, or several with the same fields, and how often it is drawn beside the others. */
export function step<const Kind extends string, Of extends Fields = Record<"kind", fc.Arbitrary<Kind>>>(
  weight: number,
  kind: Kind | readonly Kind[],
  fields?: Of,
): { weight: number; arbitrary: fc.Arbitrary<Step<Kind, Of>> } {
  const kinds = fc.constantFrom(...(typeof kind === "string" ? [kind] : kind));
  return { weight, arbitrary: fc.record({ kind: kinds, ...fields }) as unknown as fc.Arbitrary<Step<Kind, Of>> };
}
