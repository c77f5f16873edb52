import { posix } from "node:path";

/** Absolute paths, written as they are: clients start with a PATH of their own. */
export interface Launch {
  readonly node: string;
  /** bin/shim.mjs */
  readonly script: string;
  readonly hookScript: string;
}

/** The shell script of hooks, beside their program, which it starts where no host answers. */
export function shellHookOf({ hookScript }: Pick<Launch, "hookScript">): string {
  return posix.join(posix.dirname(hookScript), "shim-hook");
}

export const plainWord = /^[\w@%+:,./-]+$/;

export function shellWord(text: string): string {
  return plainWord.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
