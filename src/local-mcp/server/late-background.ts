import type { Background, BackgroundParts } from "./background.ts";

/** One portion of the background work; its code is loaded with the first one, long after the client has its first answer. */
export function lateBackground(parts: BackgroundParts): () => Promise<void> {
  let loading: Promise<Background> | null = null;
  return async () => {
    loading ??= import("./background.ts").then(({ Background }) => new Background(parts));
    (await loading).tick();
  };
}
