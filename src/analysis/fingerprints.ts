import { createHash } from "node:crypto";
import { conceptOf } from "./equivalences.ts";
import type { Finding } from "./finding.ts";
import type { MergedFinding } from "./merge.ts";

const hashChars = 32;

/**
 * [AN6] A fingerprint is made of the rule, the path, the words at the finding and its number among
 * equal ones: what is added above does not change it.
 *
 * @param findings of one analysis, in the order of their positions
 * @param read the text of a file; null: it cannot be read
 */
export function withFingerprints(findings: readonly MergedFinding[], read: (file: string) => string | null): Finding[] {
  const counts = new Map<string, number>();
  const lines = new Map<string, readonly string[]>();
  const linesOf = (file: string): readonly string[] => {
    const found = lines.get(file) ?? (read(file) ?? "").split("\n");
    lines.set(file, found);
    return found;
  };
  return findings.map((finding) => {
    const concept = conceptOf(finding.tool, finding.rule);
    const words = wordsAt(finding, linesOf);
    // A file as a whole is found again under another name by its text.
    const content = hash([concept, words ?? linesOf(finding.file).join("\n")]);
    const key = hash([concept, finding.file, words ?? ""]);
    const ordinal = (counts.get(key) ?? 0) + 1;
    counts.set(key, ordinal);
    return { ...finding, fingerprint: hash([key, String(ordinal)]), content };
  });
}

/** The symbol, the whole text of copies, or the first line. Null: the file as a whole. */
function wordsAt(finding: MergedFinding, linesOf: (file: string) => readonly string[]): string | null {
  const { symbol, range, related, file } = finding;
  if (symbol !== undefined) return symbol;
  if (range === null) return null;
  const { line, endLine = line } = range;
  const text = linesOf(file).slice(line - 1, related ? endLine : line);
  return text.map((one) => one.trim().replaceAll(/\s+/g, " ")).join("\n");
}

function hash(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, hashChars);
}
