import { effectiveWindow } from "./context-window.ts";

export interface ModelSwitch {
  readonly from: string | null;
  readonly to: string | null;
  /** What the next request sends again; null: not known. */
  readonly contextTokens: number | null;
}

/** Pure. [SI34] What to tell the user before a switch to a model whose window is too small for the chat; null: it fits, or that is not known. */
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
