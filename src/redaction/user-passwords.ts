import { checkValue } from "./assignments.ts";
import { isMarkerAt, matchAt, type Finding, matchEnd, type Rule } from "./findings.ts";
import type { Strength } from "./key-names.ts";
import { isPlaceholder, isSecretValue, ValueReader } from "./values.ts";
import { hasRandomWord, isRandom } from "./randomness.ts";

const userPart = /([^\s:@/?#"'`<>\\[\]]{0,256}):(?=[^\s"'`<>\\[\]])/y;
const restOfAddress = /(?:(?!:\/\/)[^\s"'`<>\\[\]]){1,600}/y;
/** A token as user without a password, as in a git remote; not the public key of Sentry. */
const userOnly = /([\w.~-]{8,256})(?::(?:x-oauth-basic)?)?@(?=[\w.-])(?!\w+\.ingest\.|[\w.]*sentry\.)/y;

/** A host or a variable; clear: nothing else has this form. */
const host = /^(?:[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}(?::\d{1,5})?(?=[/?#,;)&|]|$)|[$%{])/;
const clearHost =
  /^(?:[\w-]{1,63}(?:\.[\w-]{1,63}){0,7}\.[a-z][\w-]{0,62}|\d{1,3}(?:\.\d{1,3}){3}|localhost|[\w-]{1,63}(?=:\d))(?::\d{1,5})?(?=[/?#,;)&|]|$)/i;

function urlCredentials(text: string): Finding[] {
  const findings: Finding[] = [];
  for (let at = text.indexOf("://"); at !== -1; at = text.indexOf("://", at + 3)) {
    const token = matchAt(userOnly, text, at + 3)?.[1];
    if (token && isToken(token, text.slice(Math.max(0, at - 5), at))) {
      findings.push({ start: at + 3, end: at + 3 + token.length, kind: "url-token" });
      continue;
    }
    const password = passwordAt(text, at + 3);
    if (password && !isPlaceholder(text.slice(password.start, password.end)) && !isMarkerAt(text, password.start))
      findings.push({ ...password, kind: "url-password" });
  }
  return findings;
}

/** Names of users are short; those of SSH are never passwords. */
function isToken(user: string, scheme: string): boolean {
  if (user.length >= 20) return isRandom(user);
  return !/s(?:sh|cp|ftp)$/i.test(scheme) && hasRandomWord(user) && !isPlaceholder(user);
}

function passwordAt(text: string, from: number): { readonly start: number; readonly end: number } | null {
  const user = matchAt(userPart, text, from)?.[1];
  if (user === undefined) return null;
  const start = userPart.lastIndex;
  const rest = matchAt(restOfAddress, text, start)?.[0] ?? "";
  const length = passwordLength(user, rest);
  return length > 0 ? { start, end: start + length } : null;
}

/** Ends at the first `@` before a clear host, else before a possible one. */
function passwordLength(user: string, rest: string): number {
  const plain = /^[^@/?#]*@/.exec(rest)?.[0].length ?? 0;
  if (plain === 0) return passwordLengthWithSlash(user, rest);
  const authority = /^[^?#]*/.exec(rest)?.[0] ?? "";
  return endBefore(clearHost, authority) ?? endBefore(host, authority) ?? plain - 1;
}

/** Ambiguous with an address that has a port and no password. */
function passwordLengthWithSlash(user: string, rest: string): number {
  const isPort = /^\d{1,5}(?:[/?]|$)/.test(rest);
  return isPort || user.includes(".") ? 0 : (endBefore(clearHost, rest) ?? 0);
}

function endBefore(pattern: RegExp, text: string): number | null {
  let at = text.indexOf("@");
  for (let tries = 0; at !== -1 && tries < 8; tries++) {
    if (pattern.test(text.slice(at + 1, at + 300))) return at;
    at = text.indexOf("@", at + 1);
  }
  return null;
}

/** A backslash or an open list continues the line. The bound keeps it cheap. */
const command = /(?<![\w.-])(?:curl|wget|https?)(?=\\{0,8}["' \t])(?:\\\r?\n|[,([][ \t]{0,8}\r?\n|[^\r\n|]){1,2000}/y;
/** Reads at most 2,001 characters: a command. */
const user =
  /(?:[\s"'`]|\\n)(?:-[a-zA-Z]{0,8}[uU]|--(?:proxy-)?user|-a|--auth)(?:\\{0,8}["'],\s{0,8}\\{0,8}["']|[ \t]*=?[ \t]*\\{0,4}["']?)([^\s:"'@\\-][^\s:"'@\\]{0,63})?:(?!\/\/)["']?([^\s"'\\]{3,256})/g;

/** `curl -u user:password` */
const webCommands = ["curl", "wget", "http ", "https "].map((name): Rule => ({
  marks: [name],
  find(text) {
    const findings: Finding[] = [];
    for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, Math.max(command.lastIndex, at + 1))) {
      const line = matchAt(command, text, at)?.[0];
      if (line !== undefined) findings.push(...passwordsIn(line, at));
    }
    return findings;
  },
}));

function passwordsIn(line: string, at: number): Finding[] {
  return [...line.matchAll(user)].flatMap(({ 0: option, 1: name = "", 2: given = "", index }) => {
    const start = at + index + option.length - given.length;
    // A backtick ends a command that is quoted in Markdown; bold type may end behind it.
    // Reads at most 256 characters: what was found.
    const password = given.replace(/`\W*$/, "");
    const end = start + password.length;
    // `--user 1000:1000` and `-u www-data:www-data` are a user and a group of another command.
    const isGroup = (/^\d+$/.test(name) && /^\d+$/.test(password)) || name === password;
    const isMarker = isMarkerAt(password, 0) || name.endsWith("[redacted");
    if (isGroup || isMarker || !isSecretValue(password, "password", "literal")) return [];
    return [{ start, end, kind: "password" }];
  });
}

interface Program {
  readonly name: RegExp;
  /** Sticky, from the hyphen to the value. */
  readonly option: RegExp;
  readonly strength?: Strength;
}

/** Programs with a short option for a secret: its letter means something else to other programs. */
const programs: readonly Program[] = [
  { name: /(?<![\w.-])(?:mysql|mariadb)[\w-]{0,20}\s/, option: /-p(?=\S)(?!\d+:\d)/y },
  { name: /(?<![\w.-])sshpass\s{1,4}$/, option: /-p[ \t]{0,4}/y },
  {
    name: /(?<![\w.-])(?:(?:docker|podman|nerdctl|buildah|skopeo|oras|crane|oc|az|helm registry) login|az (?:sql|mysql|postgres)|mongo[a-z]{0,10})\s/,
    option: /-p[ \t]{1,4}/y,
  },
  { name: /(?<![\w.-])(?:redis|valkey|keydb)-cli\s/, option: /-a[ \t]{1,4}/y },
  { name: /(?<![\w.-])ldap[a-z]{3,10}\s/, option: /-w[ \t]{0,4}/y },
  { name: /(?<![\w.-])(?:sqlcmd|bcp|unzip|zip|ipmitool|mosquitto_[a-z]{2,4})\s/, option: /-P[ \t]{0,4}/y },
  { name: /(?<![\w.-])(?:7z[ar]{0,2}|unrar|rar)\s/, option: /-p(?=\S)/y },
  { name: /(?<![\w.-])(?:useradd|usermod|ncftp[a-z]{0,4})\s/, option: /-p[ \t]{1,4}/y },
  { name: /(?<![\w.-])lftp\s/, option: /-u[ \t]{0,4}["']?[^\s"',]{1,64},/y },
  { name: /(?<![\w.-])snmp[a-z]{3,10}\s/, option: /-[AX][ \t]{1,4}/y },
  { name: /(?<![\w.-])security add-(?:generic|internet)-password\s/, option: /-w[ \t]{1,4}/y },
  { name: /(?<![\w.-])openssl enc\s/, option: /-k[ \t]{1,4}/y },
  { name: /(?<![\w.-])gh secret set\s/, option: /-(?:b[ \t]{0,4}|-body[ =])/y },
  { name: /(?<![\w.-])(?:az keyvault secret set|aws ssm put-parameter)\s/, option: /--value[ =]/y },
  { name: /(?<![\w.-])(?:smbclient|rpcclient|smbget)\s/, option: /-U[ \t]{0,4}["']?[^\s"'%]{1,64}%/y },
  { name: /(?<![\w.-])curl\s/, option: /-b[ \t]{0,4}/y, strength: "cookie" },
];

/** One pass for all of these rules. An option has a blank before it. */
const beginning =
  /-(?:[APUXabkpuw]|-body|-value)(?<=[ \t]-(?:[a-zA-Z]|-[a-z]{4,5}))|\((?<=@(?:tcp|unix)\(|(?:mysqli_connect|mysqli|PDO|getConnection|connect(?<=(?:DBI->|MySQLdb\.|pymysql\.)connect)|WiFi\.begin|login|\.basic|create_user|createHmac|jwt\.(?:sign|verify))\()|<<<(?<=(?:--password-stdin|--with-token|sudo -S|secret (?:create|put|set)|pass insert|env add)[^\n|;&]{0,80}<<<)|:(?:5432|oracle):|(?:htpasswd(?= -)|net(?= use)|wpa_passphrase|rabbitmqctl|echo|printf|sqlplus|ConvertTo-SecureString) /g;
/** Separates commands; a backslash continues a line. */
const commandEnd = /(?<!\\\r?)\n|[|;&]|(?<!\\)\\n/;
const maxCommandChars = 300;

/** `mysql -pvalue`, `echo value | docker login --password-stdin`, `sqlplus user/value@host` */
function passwordOptions(text: string): Finding[] {
  const findings: Finding[] = [];
  const reader = new ValueReader(text);
  for (const { 0: mark, index } of text.matchAll(beginning)) {
    const end = index + mark.length;
    if (mark.startsWith("-")) findings.push(...optionAt(text, index, reader));
    else if (mark === "(") findings.push(...argumentOf(text, index));
    else if (marked[mark]) findings.push(...valueBehind(text, end, marked[mark]));
    else findings.push(...oraclePassword(text, end));
  }
  return findings;
}

function optionAt(text: string, index: number, reader: ValueReader): Finding[] {
  const before =
    text
      .slice(Math.max(0, index - maxCommandChars), index)
      .split(commandEnd)
      .at(-1) ?? "";
  return programs.flatMap(({ name, option, strength = "password" }) => {
    const start = matchEnd(option, text, index);
    if (start === null || !name.test(before)) return [];
    const isAttached = !/\s/.test(text.charAt(start - 1));
    return checkValue(text, reader.read(start, isAttached ? "literal" : "bare"), strength, true);
  });
}

const oracleUser = /(?:[a-z\d]{3,8}:|-\w{1,8} )?["']?[\w$#]{1,64}\//y;
const beforeHost = /[^\s"'`@\\]{3,128}(?=@)/y;

function oraclePassword(text: string, from: number): Finding[] {
  const start = matchEnd(oracleUser, text, from);
  const end = start === null ? null : matchEnd(beforeHost, text, start);
  if (start === null || end === null || isPlaceholder(text.slice(start, end))) return [];
  return [{ start, end, kind: "url-password" }];
}

const word = String.raw`[\w.@-]{1,64}`;
const quote = String.raw`\\{0,8}["']?`;
const behind = (open: string, after = ""): RegExp =>
  new RegExp(String.raw`(?<open>${open}${quote})(?<value>[^\s"'|:;,\\()<>]{4,200})${after}`, "y");
const reads = String.raw`[^|;&\n]{0,100}(?:--password-stdin|--with-token|--data-file=-|passwd --stdin|secrets? (?:create|put|set|versions add)\b)|(?:sudo )?(?:chpasswd|sudo -\w{0,3}S)\b`;
const encodes = String.raw`base64\b(?<=:[^\s:|]{4,200}[ \t]{0,4}\|[ \t]{0,4}base64)`;
const file = String.raw`>{1,2}[ \t]?[^\s|;&<>]{0,80}(?:passw(?:or)?d|secret|token)s?(?:\.(?!log\b)\w{1,8})?(?=[\s"'\\;&]|$)`;
const printed = behind(
  String.raw`(?:-[a-zA-Z]{1,3}[ \t]{1,4}){0,2}(?:${quote}%s(?:\\{1,8}n)?${quote}[ \t])?${quote}(?:${word}:)?`,
  String.raw`(?=${quote}[ \t]{0,4}(?:\|[ \t]{0,4}(?:${reads}|${encodes})|${file}))`,
);
/** From a mark to the end of the value. */
const marked: Readonly<Record<string, RegExp>> = {
  "echo ": printed,
  "printf ": printed,
  "htpasswd ": behind(String.raw`-\w{0,3}b\w{0,3}[ \t](?:[^\s-]\S{0,100}[ \t])?${word}[ \t]`),
  "wpa_passphrase ": behind(String.raw`(?:"[^"\n]{1,32}"|${word})[ \t]`),
  "rabbitmqctl ": behind(String.raw`(?:add_user|change_password) ${word}[ \t]`),
  "<<<": behind("[ \\t]?"),
  "ConvertTo-SecureString ": behind(String.raw`(?:-\w{5,12} ){0,3}`),
  "net ": behind(String.raw`use(?:r ${word}|[^\n|&]{0,120}/user:\S{1,64})[ \t]`),
  // A line of .pgpass
  ":5432:": behind(String.raw`[\w*-]{1,64}:[\w*.-]{1,64}:`),
};

function valueBehind(text: string, at: number, pattern: RegExp): Finding[] {
  const { open = "", value = "" } = matchAt(pattern, text, at)?.groups ?? {};
  const start = at + open.length;
  return value === "" ? [] : checkValue(text, { start, end: start + value.length, shape: "bare" }, "password", true);
}

const lastArgument =
  /\((?:\s{0,20}(?:\\{0,8}["'][^"'\n]{0,200}["']|[\w.$&]{1,64})\s{0,4},){1,2}\s{0,20}\\{0,8}["']([^"'\n\\]{4,200})(?=\\{0,8}["'])/y;
/** Reads at most 200 characters: what stands before the address. */
const userBefore = /(?:^|[^\w.-])[\w.-]{1,64}:([^\s"'`@[\]]{1,128})@(?:tcp|unix)$/;

/** `mysqli_connect("host", "user", "value")`, `user:value@tcp(host)` */
function argumentOf(text: string, at: number): Finding[] {
  const value = matchAt(lastArgument, text, at)?.[1] ?? "";
  const end = lastArgument.lastIndex;
  if (value !== "") return checkValue(text, { start: end - value.length, end, shape: "doubtful" }, "password", false);
  const password = userBefore.exec(text.slice(Math.max(0, at - 200), at))?.[1];
  if (password === undefined || isPlaceholder(password)) return [];
  const before = at - (text.startsWith("@tcp", at - 4) ? 4 : 5);
  return [{ start: before - password.length, end: before, kind: "url-password" }];
}

export const userPasswords: readonly Rule[] = [
  { marks: ["://"], find: urlCredentials },
  ...webCommands,
  { marks: [beginning], find: passwordOptions },
];
