export function isMachineToken(token: string): boolean {
  return /^shim_[\w.-]+$/.test(token);
}

/** Claims of a token, unverified: `m` its machine, `s` its scope. */
export function readTokenClaim(token: string, claim: "m" | "s"): string | null {
  try {
    const text = Buffer.from(token.slice(5).split(".")[0] ?? "", "base64url").toString("utf8");
    const value = (JSON.parse(text) as Record<string, unknown>)[claim];
    return typeof value === "string" ? value : null;
  } catch {
    return null;
  }
}
