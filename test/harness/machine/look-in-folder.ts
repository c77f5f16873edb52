import { once } from "node:events";
import { watch } from "node:fs";

/** @returns what `look` finds; it looks again whenever something in the folder changes */
export async function lookIn<Found>(folder: string, look: () => Found | null | Promise<Found | null>): Promise<Found> {
  const watcher = watch(folder);
  try {
    for (;;) {
      const changed = once(watcher, "change");
      const found = await look();
      if (found !== null) return found;
      await changed;
    }
  } finally {
    watcher.close();
  }
}
