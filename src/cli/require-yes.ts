import { failed, type FailedResult } from "./answer.ts";
import type { Cli } from "./cli.ts";

/** Asks before a change. @param unasked error without a terminal @returns null after a yes */
export async function requireYes(
  cli: Cli,
  question: string,
  { yes }: { readonly yes?: boolean },
  unasked = `${question} Confirm with --yes.`,
): Promise<FailedResult | null> {
  const reply = await cli.confirm(question, yes === true);
  if (reply === "yes") return null;
  return failed("not_confirmed", reply === "no" ? "nothing was changed." : unasked);
}
