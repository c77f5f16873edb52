import { nextValue, type Bounded } from "../parameters.ts";

/** Another value of a setting. */
export interface Variant {
  readonly key: string;
  readonly from: number;
  readonly value: number;
}

interface Variable {
  readonly parameters: readonly Bounded[];
  /** The present value. */
  readonly valueOf: (key: string) => number;
}

/** So many steps of each setting in each direction. */
export function usualVariants({ parameters, valueOf }: Variable, steps: number): Variant[] {
  return parameters.flatMap((parameter) => {
    const { key } = parameter;
    const from = valueOf(key);
    return (["down", "up"] as const).flatMap((direction) => {
      const variants: Variant[] = [];
      let value = nextValue(parameter, from, direction);
      while (value !== null && variants.length < steps) {
        variants.push({ key, from, value });
        value = nextValue(parameter, value, direction);
      }
      return variants;
    });
  });
}

/** @param given `key=value` @returns a text: what is wrong with one */
export function parseVariants(
  { parameters, valueOf }: Variable,
  given: readonly string[],
  isAllowed: (key: string, value: number) => boolean,
): Variant[] | string {
  const variants: Variant[] = [];
  for (const one of given) {
    const [key = "", text = ""] = one.split("=");
    const parameter = parameters.find((known) => known.key === key);
    if (!parameter) {
      const keys = parameters.map((known) => `  ${known.key}`).join("\n");
      return `"${key.slice(0, 60)}" cannot be replayed. These can:\n${keys}`;
    }
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!Number.isFinite(value) || value <= 0 || !isAllowed(key, value))
      return `"${one.slice(0, 80)}": ${key} has no such value. Give one such as ${key}=${parameter.min}.`;
    variants.push({ key, from: valueOf(key), value });
  }
  return variants;
}
