/** Exit codes of `shim`, which stay; documented in docs/reference/README.md. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  wrongUsage: 2,
  notFound: 3,
  incomplete: 4,
  unusableNode: 78,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Codes of an end that the same command would have again. */
export const repeatedExits: readonly number[] = [exitCodes.wrongUsage, exitCodes.notFound, exitCodes.unusableNode];
