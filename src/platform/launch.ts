/** Absolute paths, written as they are: clients start with a PATH of their own. */
export interface Launch {
  readonly node: string;
  /** bin/shim.mjs */
  readonly script: string;
  readonly hookScript: string;
}

export const plainWord = /^[\w@%+:,./-]+$/;

export function shellWord(text: string): string {
  return plainWord.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
