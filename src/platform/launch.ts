/** How this copy of SHIM is started. Absolute paths; written as they are, since clients start with a PATH of their own. */
export interface Launch {
  readonly node: string;
  /** bin/shim.mjs */
  readonly script: string;
  /** The built entry of the hooks. */
  readonly hookScript: string;
}

/** Needs no quoting in any shell. */
export const plainWord = /^[\w@%+:,./-]+$/;

/** A word as a POSIX shell reads it back. */
export function shellWord(text: string): string {
  return plainWord.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
