import { effectiveWindow } from "./context-window.ts";

export interface ModelSwitch {
  readonly from: string | null;
  readonly to: string | null;
  /** Null if unknown. */
  readonly contextTokens: number | null;
}

/** Pure. [SI34] */
export function switchWarning({ from, to, contextTokens }: ModelSwitch, env: NodeJS.ProcessEnv): string | null {
  const window = to === null ? null : effectiveWindow(to, env);
  if (window === null || contextTokens === null || contextTokens <= window) return null;
  const stay = from === null ? "" : `, or stay with ${from}`;
  // The client shows about 160 characters.
  return `SHIM: this chat holds ${figure(contextTokens)} tokens, and ${to} takes ${figure(window)}: run /compact first${stay}. All is saved.`;
}

function figure(tokens: number): string {
  return tokens.toLocaleString("en-US");
}
