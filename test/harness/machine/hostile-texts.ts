import { attacksOn } from "../../../scripts/attack-strings.ts";
import type { Expression } from "../../../scripts/check-expressions.ts";

const characters = "a Z0_-./\\:=\"'`(){}[]<>|#*~@$%&+,;!?\n\t\0\u200B\uFEFFéж好い한";

/** Parts of everyday texts: prose, lists, code, shell, diffs, JSON, paths, addresses, secrets, marks of SHIM. */
const parts = [
  "aA¦a ¦1.¦a1¦, ¦. ¦\n\n¦\r\n¦ \n¦- ¦1. x\n¦* [ ] do it\n¦# x\n¦```\n¦`a` ¦please ¦use a ¦not a ¦instead of a, ¦from a to ",
  "no, ¦never ¦next: ¦好的¦嗯¦你好，¦다음 ¦A=¦A=1 ¦A=\"b c\" ¦export A='b'\n¦A=registry.example.com/team/service:latest;",
  'cd a && ¦a | b ¦$(a ¦<<EOF\n¦rm -rf ¦for i in a; do ¦2>&1 ¦"a":"b",¦{"a":¦[[¦/usr/local/bin/¦../¦C:\\Users\\a\\',
  "https://a.example/b?c=d&¦user:pass@¦curl -u a:b ¦SHIM: ¦<private>¦</private>¦<analysis>¦<shim-recovered-session-a>\n",
  "<system-reminder>¦<a>¦+a\n¦@@ -1 +1 @@\n¦diff --git a/b b/b\n¦*** Add File: a\n¦at f (a.js:1:2)\n¦error TS1: ",
  'ghp_¦AKIA¦sk-ant-¦eyJhbGciOi¦token=¦password: ¦api_key1¦key1¦QUJD¦deadbeef¦"auths":¦-----BEGIN ',
].flatMap((line) => line.split("¦"));

/** Heads whose end never comes. */
const heads = ["A=", '"', "'", "`", "(", "<", "[", "- ", "from ", "https://", "password="];

const maxChars = 100_000;

export function hostileTexts(): string[] {
  const opened = heads.map((head) => `${head}${fill("a").slice(head.length + 1)}\u0001`);
  return [...characters.split(""), ...parts].map(fill).concat(opened);
}

function fill(part: string): string {
  return part.repeat(Math.ceil(maxChars / part.length)).slice(0, maxChars);
}

/** Of each expression one text that its own repetitions make, at most so many. */
export function attackTexts(expressions: readonly Expression[], count: number, random: () => number): string[] {
  const attacks = expressions.flatMap(({ source, flags }) => {
    const all = attacksOn(source, flags);
    return all.length === 0 ? [] : [all[Math.floor(random() * all.length)]];
  });
  const chosen = attacks.toSorted(() => random() - 0.5).slice(0, count);
  return chosen.flatMap((attack) => attack?.(maxChars) ?? []);
}
