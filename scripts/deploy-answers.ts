/** What wrangler has answered to a question about the account. */
export interface Answered {
  /** Exit code; null: it did not end by itself. */
  readonly status: number | null;
  /** All that it has printed. */
  readonly output: string;
}

/**
 * Whether a thing is in the account. Any other failure than its absence is no answer: nothing is made or deployed then.
 *
 * @param absent text by which wrangler says that it is not there; null: it is always there
 * @throws {Error} with what to do
 */
export function isThere({ status, output }: Answered, absent: RegExp | null): boolean {
  if (status === 0) return true;
  if (absent?.test(output)) return false;
  const advice = /more than one account/i.test(output)
    ? "Name the account: CLOUDFLARE_ACCOUNT_ID=<id> npm run deploy (`npx wrangler whoami` lists them)."
    : "Nothing was deployed: run `npm run deploy` again, and `npx wrangler login` first where it asks for that.";
  throw new Error(`${output.trim()}\n\nCloudflare did not say what the account has. ${advice}`);
}
