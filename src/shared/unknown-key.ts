import { isClose } from "./close-words.ts";

/** Says which settings there are, those below a group first, and which one may be meant. */
export function unknownKeyText(key: string, keys: readonly string[]): string {
  const given = key.slice(0, 60);
  const below = keys.filter((one) => one.startsWith(`${key}.`));
  const lines = (below.length > 0 ? below : keys).map((one) => `  ${one}`).join("\n");
  const close = keys.filter((one) => isClose(given, one) || isClose(given, one.slice(one.lastIndexOf(".") + 1)));
  const hint = close.length === 0 ? "" : ` Did you mean ${close.join(" or ")}?`;
  return `there is no setting "${given}".${hint} There are:\n${lines}`;
}
