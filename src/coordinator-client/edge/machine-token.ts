/** Whether it is written as the tokens of machines are; whether it is one, the coordinator knows. */
export function isMachineToken(token: string): boolean {
  return /^shim_[\w.-]+$/.test(token);
}

/** A token says for which machine (`m`) it is and what it may (`s`, a scope); whether that is true, the coordinator knows. */
export function readTokenClaim(token: string, claim: "m" | "s"): string | null {
  try {
    const text = Buffer.from(token.slice(5).split(".")[0] ?? "", "base64url").toString("utf8");
    const value = (JSON.parse(text) as Record<string, unknown>)[claim];
    return typeof value === "string" ? value : null;
  } catch {
    return null;
  }
}
