import { checkValue } from "./assignments.ts";
import { matchEnd, type Finding } from "./findings.ts";
import type { Strength } from "./key-names.ts";
import { isPlaceholder } from "./placeholders.ts";
import { ValueReader } from "./values.ts";

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
    name: /(?<![\w.-])(?:(?:docker|podman|nerdctl|buildah|skopeo|oras|crane|oc|az|helm registry) login|mongo[a-z]{0,10})\s/,
    option: /-p[ \t]{1,4}/y,
  },
  { name: /(?<![\w.-])(?:redis|valkey|keydb)-cli\s/, option: /-a[ \t]{1,4}/y },
  { name: /(?<![\w.-])ldap[a-z]{3,10}\s/, option: /-w[ \t]{0,4}/y },
  { name: /(?<![\w.-])(?:sqlcmd|bcp|unzip|zip|ipmitool)\s/, option: /-P[ \t]{0,4}/y },
  { name: /(?<![\w.-])(?:smbclient|rpcclient|smbget)\s/, option: /-U[ \t]{0,4}["']?[^\s"'%]{1,64}%/y },
  { name: /(?<![\w.-])curl\s/, option: /-b[ \t]{0,4}/y, strength: "cookie" },
];

/** One pass for both rules. The option has a blank before it. */
const beginning = /-[pawbPU](?<=[ \t]-[a-zA-Z])|:oracle:|sqlplus /g;
/** Separates commands; a backslash continues a line. */
const commandEnd = /(?<!\\\r?)\n|[|;&]|(?<!\\)\\n/;
const maxCommandChars = 300;

/** `mysql -pvalue`, `docker login -p value`, `jdbc:oracle:thin:user/value@host` */
export function passwordOptions(text: string): Finding[] {
  const findings: Finding[] = [];
  const reader = new ValueReader(text);
  for (const { 0: found, index } of text.matchAll(beginning)) {
    findings.push(
      ...(found.startsWith("-") ? optionAt(text, index, reader) : oraclePassword(text, index + found.length)),
    );
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
