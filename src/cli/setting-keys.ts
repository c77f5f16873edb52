import { wrongUsage, type FailedResult } from "./answer.ts";

export function unknownKey(key: string, keys: readonly string[]): FailedResult {
  const below = keys.filter((one) => one.startsWith(`${key}.`));
  const lines = (below.length > 0 ? below : keys).map((one) => `  ${one}`).join("\n");
  return wrongUsage(`there is no setting "${key.slice(0, 60)}". There are:\n${lines}`);
}
