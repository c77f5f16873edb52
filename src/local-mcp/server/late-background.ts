import type { Background, BackgroundParts } from "./background.ts";

export function lateBackground(parts: BackgroundParts): () => Promise<void> {
  let loading: Promise<Background> | null = null;
  return async () => {
    loading ??= import("./background.ts").then(({ Background }) => new Background(parts));
    (await loading).tick();
  };
}
