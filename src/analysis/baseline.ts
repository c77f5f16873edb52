import * as z from "zod";
import { compare } from "../shared/compare.ts";
import type { Finding } from "./finding.ts";

/** Stored in the user's repository. Add fields as optional. */
export const Baseline = z.object({
  version: z.literal(1),
  findings: z.array(z.object({ fingerprint: z.string(), content: z.string(), file: z.string(), rule: z.string() })),
});
export type Baseline = z.infer<typeof Baseline>;

/** Sorted, so that a renewed file shows what changed. */
export function toBaseline(findings: readonly Finding[]): Baseline {
  const entries = findings.map(({ fingerprint, content, file, tool, rule }) => ({
    file,
    rule: `${tool} ${rule}`,
    fingerprint,
    content,
  }));
  entries.sort((a, b) => compare(a.file, b.file) || compare(a.rule, b.rule) || compare(a.fingerprint, b.fingerprint));
  return { version: 1, findings: entries };
}

/**
 * [AN8] Marks what the baseline does not have. A finding of a file that was renamed is found again
 * by its content; each entry stands for one finding.
 *
 * @param isPresent whether a file of the baseline still exists
 */
export function compareWithBaseline(
  findings: readonly Finding[],
  baseline: Baseline,
  isPresent: (file: string) => boolean,
): Finding[] {
  const known = new Set(baseline.findings.map(({ fingerprint }) => fingerprint));
  const current = new Set(findings.map(({ fingerprint }) => fingerprint));
  const movedContents = new Map<string, number>();
  for (const { fingerprint, content, file } of baseline.findings) {
    if (current.has(fingerprint) || isPresent(file)) continue;
    movedContents.set(content, (movedContents.get(content) ?? 0) + 1);
  }
  return findings.map((finding) => {
    if (known.has(finding.fingerprint)) return { ...finding, isNew: false };
    const moved = movedContents.get(finding.content) ?? 0;
    if (moved > 0) movedContents.set(finding.content, moved - 1);
    return { ...finding, isNew: moved === 0 };
  });
}
