import { parseObject } from "../../shared/json-fields.ts";
export function isMachineToken(token: string): boolean {
  return /^shim_[\w.-]+$/.test(token);
}

/** Claims of a token, unverified: `m` its machine, `s` its scope. */
export function readTokenClaim(token: string, claim: "m" | "s"): string | null {
  const text = Buffer.from(token.slice(5).split(".")[0] ?? "", "base64url").toString("utf8");
  const value = parseObject(text)?.[claim];
  return typeof value === "string" ? value : null;
}
