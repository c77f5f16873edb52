export interface CheckLine {
  readonly what: string;
  readonly verdict: string;
  readonly detail: string;
}

/** Formats the checks of a demo, one to a line. */
export function formatChecks(checks: readonly CheckLine[]): string[] {
  const width = Math.max(...checks.map(({ what }) => what.length));
  return checks.map(({ what, verdict, detail }) => `  ${verdict}  ${what.padEnd(width)}  ${detail}`);
}
