import type { Json } from "../contract/json.ts";
import type { WorkKind } from "../contract/plans.ts";
import { estimateComplexity, type ComplexityReason } from "../shared/complexity.ts";
import { splitText, withoutWrappers } from "./prompt-text.ts";

export interface Analysis {
  /** The kind of work with the most points; null: nothing names one. */
  readonly kind: WorkKind | null;
  readonly size: "small" | "medium" | "large";
  /** 1 to 10. */
  readonly complexity: number;
  /** none: nothing was found that says how hard it is, which is not the same as simple. */
  readonly evidence: "none" | "weak" | "strong";
  /** Names of what was found, nothing of the text. */
  readonly signals: readonly string[];
}

const smallChars = 500;
const largeChars = 8_000;

/** [RT5] [RT7] Pure: the same text, the same answer; asks no model and keeps no text. */
export function analyzePrompt(text: string): Analysis {
  return analyze({ title: "", text, files: [], kinds: [], payload: null });
}

export interface Work {
  readonly title: string;
  readonly text: string;
  readonly files: readonly string[];
  readonly kinds: readonly WorkKind[];
  readonly payload: Json;
}

/** Pure. Files and kinds that were stated count beside those that the text names. */
export function analyze({ title, text, files: givenFiles, kinds, payload }: Work): Analysis {
  const own = withoutWrappers(text).trim();
  const { prose, files, hasTrace } = splitText(own);
  const paths = [...new Set([...givenFiles, ...files])];
  const { score, reasons } = estimateComplexity({
    title,
    text: prose,
    files: paths.map((path) => ({ path, weight: 1 })),
    kinds: hasTrace && !kinds.includes("fix") ? [...kinds, "fix"] : [...kinds],
    payload,
  });
  const signals = [...reasons.map(({ signal }) => signal), ...(paths.length > 0 ? ["paths"] : [])];
  return {
    kind: kindOf(reasons),
    size: own.length < smallChars ? "small" : own.length < largeChars ? "medium" : "large",
    complexity: score,
    evidence: evidenceOf(new Set(signals), kinds.length > 0),
    signals: [...new Set(signals)],
  };
}

/** Length alone says little: a long text may be a log. */
const sizeSignals: ReadonlySet<string> = new Set(["textChars", "payloadChars"]);

function evidenceOf(signals: ReadonlySet<string>, isStated: boolean): Analysis["evidence"] {
  const strong = [...signals].filter((signal) => !sizeSignals.has(signal));
  if (isStated || strong.length >= 2) return "strong";
  return signals.size > 0 ? "weak" : "none";
}

const kinds: ReadonlySet<string> = new Set<WorkKind>(["refactor", "migrate", "test", "fix", "document"]);

function kindOf(reasons: readonly ComplexityReason[]): WorkKind | null {
  return reasons.map(({ signal }) => signal).find((signal): signal is WorkKind => kinds.has(signal)) ?? null;
}
