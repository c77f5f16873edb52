import { readFileSync } from "node:fs";

/** Shell commands as chats write them, one a line; `⏎` is a line end in a command. */
function readCorpus(name: string): readonly string[] {
  const text = readFileSync(new URL(`shell-corpus/${name}.txt`, import.meta.url), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.replaceAll("⏎", "\n"));
}

export const riskyCommands = readCorpus("risky");
export const harmlessCommands = readCorpus("harmless");
