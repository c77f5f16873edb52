import type { Finding } from "./findings.ts";
import { isSecretValue } from "./values.ts";

const names = ["curl", "wget", "http ", "https "];
/** A backslash or an open list continues the line. The bound keeps it cheap. */
const command = /(?<![\w.-])(?:curl|wget|https?)(?=["' \t])(?:\\\r?\n|[,([][ \t]{0,8}\r?\n|[^\r\n|]){1,2000}/y;
const user =
  /(?:[\s"'`]|\\n)(?:-[a-zA-Z]{0,8}[uU]|--(?:proxy-)?user|-a|--auth)(?:["'],\s{0,8}["']|[ \t]*=?[ \t]*\\{0,4}["']?)([^\s:"'@\\-][^\s:"'@\\]{0,63})?:(?!\/\/)([^\s"'\\]{3,256})/g;

/** [RD5] `curl -u user:password` */
export function webCommands(text: string): Finding[] {
  const findings: Finding[] = [];
  for (const name of names) {
    for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, Math.max(command.lastIndex, at + 1))) {
      command.lastIndex = at;
      const line = command.exec(text)?.[0];
      if (line !== undefined) findings.push(...passwordsIn(line, at));
    }
  }
  return findings;
}

function passwordsIn(line: string, at: number): Finding[] {
  return [...line.matchAll(user)].flatMap(({ 0: option, 1: name = "", 2: given = "", index }) => {
    const start = at + index + option.length - given.length;
    // A backtick ends a command that is quoted in Markdown; bold type may end behind it.
    const password = given.replace(/`\W*$/, "");
    const end = start + password.length;
    // `--user 1000:1000` and `-u www-data:www-data` are a user and a group of another command.
    const isGroup = (/^\d+$/.test(name) && /^\d+$/.test(password)) || name === password;
    if (isGroup || /^\[redacted:|^\[private\]/.test(password) || !isSecretValue(password, "password", "literal"))
      return [];
    return [{ start, end, kind: "password" }];
  });
}
