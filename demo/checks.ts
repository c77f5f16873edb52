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

export interface Check {
  readonly what: string;
  readonly holds: boolean;
  readonly detail: string;
}

export type Paint = (color: "green" | "red", text: string) => string;

/** Formats checks that hold or do not. */
export function formatVerdicts(checks: readonly Check[], paint: Paint): string[] {
  return formatChecks(
    checks.map(({ what, holds, detail }) => ({
      what,
      verdict: holds ? paint("green", "ok   ") : paint("red", "WRONG"),
      detail,
    })),
  );
}
