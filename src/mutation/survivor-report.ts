import type { MutantResult, MutantStatus } from "./run-mutants.ts";
import type { Mutant } from "./mutant.ts";

/** A change that no test noticed. */
export interface Survivor extends Pick<Mutant, "id" | "file" | "operator" | "before" | "after"> {
  readonly line: number;
  readonly column: number;
}

export interface FileMutants {
  readonly file: string;
  readonly counts: Readonly<Record<MutantStatus, number>>;
  readonly survivors: readonly Survivor[];
}

/** Pure. [MU31] Survivors of each file, in the order of their positions. */
export function survivorReport(files: readonly string[], results: readonly MutantResult[]): FileMutants[] {
  return files.map((file) => {
    const own = results.filter(({ mutant }) => mutant.file === file);
    const count = (status: MutantStatus): number => own.filter((one) => one.status === status).length;
    return {
      file,
      counts: {
        killed: count("killed"),
        timeout: count("timeout"),
        survived: count("survived"),
        invalid: count("invalid"),
        not_run: count("not_run"),
      },
      survivors: own.filter(({ status }) => status === "survived").map(toSurvivor),
    };
  });
}

function toSurvivor({ mutant: { id, file, operator, range, before, after } }: MutantResult): Survivor {
  return { id, file, line: range.line, column: range.column, operator, before, after };
}
