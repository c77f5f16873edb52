import type { Json } from "../../contract/json.ts";
import { Job, type WorkKind } from "../../contract/plans.ts";
import { estimateComplexity, type ComplexityReason } from "../../shared/complexity.ts";

export interface Analysis {
  /** The kind of work with the most points; null: nothing names one. */
  readonly kind: WorkKind | null;
  /** 1 to 10. */
  readonly complexity: number;
  /** none: nothing was found that says how hard it is, which is not the same as simple. */
  readonly evidence: "none" | "weak" | "strong";
}

const maxDepth = 6;
const maxChars = 200_000;
const maxFiles = 200;

/** Pure: the same text, the same answer; asks no model and keeps no text. */
export function analyzeTask(payload: Json): Analysis {
  const job = Job.safeParse(payload);
  return analyze(job.success ? job.data : { title: "", text: textsOf(payload), files: [], kinds: [], payload: null });
}

/** The texts of a payload, one a line. */
function textsOf(value: Json, depth = 0): string {
  if (typeof value === "string") return value;
  if (depth > maxDepth || value === null || typeof value !== "object") return "";
  return Object.values(value)
    .map((part) => textsOf(part, depth + 1))
    .filter((text) => text !== "")
    .join("\n");
}

// Repeats are bounded or of one character class: the text is untrusted.
const path = /(?:[\w@.-]{1,100}\/){1,30}[\w@.-]{1,100}\.[A-Za-z]\w{0,9}/g;

/** Pure. Files and kinds that were stated count beside those that the text names. */
function analyze({ title, text, files, kinds, payload }: Job): Analysis {
  const written = withoutCode(text.slice(0, maxChars));
  const named = (written.match(path) ?? []).slice(0, maxFiles);
  const paths = [...new Set([...files.map((file) => file.path), ...named])];
  const { score, reasons } = estimateComplexity({
    title,
    text: written.replaceAll(path, " "),
    files: paths.map((one) => ({ path: one, weight: 1 })),
    kinds,
    payload,
  });
  const signals = reasons.map(({ signal }) => signal);
  // Length alone says little: a long text may be a log.
  const signs = new Set<string>(signals.filter((signal) => signal !== "textChars" && signal !== "payloadChars"));
  if (paths.length > 0) signs.add("paths");
  const isStrong = kinds.length > 0 || signs.size >= 2;
  return {
    kind: signals.find(isKind) ?? null,
    complexity: score,
    evidence: isStrong ? "strong" : signals.length + signs.size > 0 ? "weak" : "none",
  };
}

const workKinds: ReadonlySet<string> = new Set<WorkKind>(["refactor", "migrate", "test", "fix", "document"]);

function isKind(signal: ComplexityReason["signal"]): signal is WorkKind {
  return workKinds.has(signal);
}

/** The lines between fences are left out; an open fence reaches to the end. */
function withoutCode(text: string): string {
  let isCode = false;
  const lines = text.split("\n").filter((line) => {
    const isFence = /^[ \t]{0,20}(?:```|~~~)/.test(line);
    if (isFence) isCode = !isCode;
    return !isFence && !isCode;
  });
  return lines.join("\n");
}
