import type { ReadingName, Readings, Source } from "#src/contract/readings.ts";

/** Readings of one source and time: `someReadings({contextFill: 0.9}, T0)`. */
export function someReadings(
  values: Partial<Record<ReadingName, number>>,
  at: number,
  source: Source = "measured",
): Readings {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, source, at }]));
}
