import { brief } from "#src/machine/recovery/brief/brief.ts";
import type { Restoration } from "#src/machine/recovery/incomplete/restoration.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import { aRestoration } from "#harness/machine/temp-runtime.ts";
import { T0 } from "#harness/store/store-test.ts";

/** An hour after a session began. */
export const now = T0 + 3_600_000;

/** The brief of a session in this state. */
export function shown(state: Partial<WorkState>, overrides: Partial<Restoration> = {}): string {
  return brief(aRestoration(state, overrides), now, "ask");
}

/** The items right below a heading that begins so. */
export function linesUnder(text: string, heading: string): string[] {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith(heading)) + 1;
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith("- "));
  return start === 0 ? [] : lines.slice(start, end);
}

export function times<T>(length: number, make: (n: number) => T): T[] {
  return Array.from({ length }, (_, n) => make(n));
}
