/** A shell that takes a line. On Windows `sh` is Git Bash. */
export type Shell = "sh" | "cmd" | "powershell";

/** Means itself to cmd and PowerShell. */
const plainOnWindows = /^[\w@+:./\\-]+$/;

export const plainWord = /^[\w@%+:,./-]+$/;

/** One word of a line, for a shell of Unix. */
export function shellWord(text: string): string {
  return plainWord.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Pure. The line by which a shell starts a program: the first word is its path. */
export function commandLine(words: readonly string[], shell: Shell): string {
  if (shell === "sh") return words.map(shellWord).join(" ");
  const line = words.map((word) => windowsWord(word, shell)).join(" ");
  // PowerShell takes a quoted word at the beginning for a value.
  return shell === "powershell" && line.startsWith("'") ? `& ${line}` : line;
}

/** PowerShell takes each of them for the plain one. */
const singleQuotes = /['\u2018-\u201B]/g;

function windowsWord(text: string, shell: "cmd" | "powershell"): string {
  if (plainOnWindows.test(text)) return text;
  return shell === "cmd" ? `"${text}"` : `'${text.replaceAll(singleQuotes, "$&$&")}'`;
}

/**
 * Pure. The shell in which a person types what SHIM prints. PowerShell adds the modules of its user
 * to a variable that cmd has, too; Git Bash names its system.
 */
export function shellOf(env: NodeJS.ProcessEnv, platform: NodeJS.Platform = process.platform): Shell {
  if (platform !== "win32" || env["MSYSTEM"]) return "sh";
  const modules = (env["PSModulePath"] ?? "").split(";");
  return modules.some((path) => /^(?!.*Program Files).*[\\/](Windows)?PowerShell[\\/]Modules$/i.test(path))
    ? "powershell"
    : "cmd";
}
