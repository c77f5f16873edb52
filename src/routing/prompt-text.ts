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
export function withoutWrappers(text: string): string {
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

export interface SplitText {
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

export function splitText(whole: string): SplitText {
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
