import type { Json } from "../contract/json.ts";
import { Job, type WorkKind } from "../contract/plans.ts";
import { estimateComplexity, type ComplexityReason } from "../shared/complexity.ts";
import { isRecord } from "../shared/json-fields.ts";

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

/** The payload of a task: a text, a job, or an object with texts. */
export function analyzeTask(payload: Json): Analysis {
  if (typeof payload === "string") return analyzePrompt(payload);
  const job = Job.safeParse(payload);
  if (job.success) {
    const { title, text, files, kinds } = job.data;
    return analyze({ title, text, files: files.map((file) => file.path), kinds, payload: job.data.payload });
  }
  return analyze({ title: "", text: textsOf(payload), files: [], kinds: [], payload: null });
}

const maxDepth = 6;

function textsOf(value: Json, depth = 0): string {
  if (typeof value === "string") return value;
  if (depth > maxDepth || value === null || typeof value !== "object") return "";
  const parts = Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : [];
  return parts
    .map((part) => textsOf(part, depth + 1))
    .filter((text) => text !== "")
    .join("\n");
}

interface Work {
  readonly title: string;
  readonly text: string;
  readonly files: readonly string[];
  readonly kinds: readonly WorkKind[];
  readonly payload: Json;
}

/** Pure. Files and kinds that were stated count beside those that the text names. */
function analyze({ title, text, files: givenFiles, kinds, payload }: Work): Analysis {
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

/** Blocks that a client or a tool put into a prompt, not its author. */
const wrappers = [
  "system-reminder",
  "command-name",
  "command-message",
  "local-command-stdout",
  "local-command-stderr",
  "local-command-caveat",
  "bash-stdout",
  "bash-stderr",
  "task-notification",
  "ide_opened_file",
  "ide_selection",
  "ide_diagnostics",
  "environment_context",
  "user_instructions",
  "tool_use_error",
  "function_results",
];

/** [RT6] Linear in the text. A wrapper without an end was cut, and reaches to the end. */
function withoutWrappers(text: string): string {
  return wrappers.reduce(withoutTag, text);
}

function withoutTag(text: string, tag: string): string {
  const [open, close] = [`<${tag}>`, `</${tag}>`];
  const parts: string[] = [];
  let from = 0;
  for (;;) {
    const start = text.indexOf(open, from);
    parts.push(text.slice(from, start === -1 ? text.length : start));
    const end = start === -1 ? -1 : text.indexOf(close, start);
    if (end === -1) return parts.length === 1 ? (parts[0] ?? "") : parts.join(" ");
    from = end + close.length;
  }
}

interface SplitText {
  /** Sentences and lists, without code, traces and paths: their words say what is to be done. */
  readonly prose: string;
  /** Paths of files, each once. */
  readonly files: readonly string[];
  readonly hasTrace: boolean;
}

// Repeats are bounded or of one character class: the text is untrusted.
const traceLine =
  /^[ \t]{0,40}(?:at [^\n]{1,300}:\d{1,7}|File "[^"\n]{1,300}", line \d{1,7}|[\w.]{1,100}(?:Error|Exception)\b|panicked at |Traceback \()/;
const path = /(?:[\w@.-]{1,100}\/){1,30}[\w@.-]{1,100}\.[A-Za-z]\w{0,9}|\b[\w-]{1,100}\.[a-z]{1,4}\b(?=[\s,;:)`'"]|$)/g;
const maxFiles = 200;
const maxChars = 200_000;

function splitText(whole: string): SplitText {
  const lines = withoutCode(whole.slice(0, maxChars).split("\n"));
  const written = lines.filter((line) => !traceLine.test(line));
  const files = new Set(written.flatMap((line) => (line.match(path) ?? []).filter(isFile)));
  return {
    prose: written.map((line) => line.replaceAll(path, " ")).join("\n"),
    files: [...files].slice(0, maxFiles),
    hasTrace: written.length < lines.length,
  };
}

/** The lines between fences are left out; an open fence reaches to the end. */
function withoutCode(lines: readonly string[]): string[] {
  let isCode = false;
  return lines.filter((line) => {
    const isFence = /^[ \t]{0,20}(?:```|~~~)/.test(line);
    if (isFence) isCode = !isCode;
    return !isFence && !isCode;
  });
}

/** Versions, domains and abbreviations look like names of files. */
function isFile(name: string): boolean {
  return /\.(?!com$|org$|net$|de$|io$|g$|e$)[a-z]\w{0,9}$/i.test(name) && !/^\d/.test(name.split("/").at(-1) ?? "");
}
