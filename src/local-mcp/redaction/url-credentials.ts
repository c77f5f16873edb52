import { isMarkerAt, type Finding } from "./findings.ts";
import { isPlaceholder } from "./placeholders.ts";
import { isRandom } from "./randomness.ts";

const userAndPassword = /([^\s:@/?#"'`<>\\[\]]{0,256}):([^\s@/?"'`<>\\[\]]{1,512})@(?=[\w$%{.[-])/y;
/** A sole user that is a token, as in a git remote. The public key of a Sentry address looks the same and is none. */
const userOnly = /([\w.~-]{20,256})@(?=[\w.-])(?!\w+\.ingest\.|[\w.]*sentry\.)/y;

/** Passwords, and tokens in place of a user, in addresses and connection strings. [RD3] */
export function urlCredentials(text: string): Finding[] {
  const findings: Finding[] = [];
  for (let at = text.indexOf("://"); at !== -1; at = text.indexOf("://", at + 3)) {
    userAndPassword.lastIndex = at + 3;
    const [, , password] = userAndPassword.exec(text) ?? [];
    const end = userAndPassword.lastIndex - 1;
    if (password !== undefined) {
      const start = end - password.length;
      if (!isPlaceholder(password) && !isMarkerAt(text, start)) findings.push({ start, end, kind: "url-password" });
      continue;
    }
    userOnly.lastIndex = at + 3;
    const [, token] = userOnly.exec(text) ?? [];
    if (token && isRandom(token)) findings.push({ start: at + 3, end: at + 3 + token.length, kind: "url-token" });
  }
  return findings;
}
