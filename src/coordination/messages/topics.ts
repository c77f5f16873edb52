/** [MS4] `*` is one word, `**` at the end one or more, alone all. */
export function matches(pattern: string, topic: string): boolean {
  const [wanted, words] = [pattern.split("."), topic.split(".")];
  for (const [at, word] of wanted.entries()) {
    if (word === "**") return words.length > at;
    if (words[at] === undefined || (word !== "*" && word !== words[at])) return false;
  }
  return wanted.length === words.length;
}

export function isExact(pattern: string): boolean {
  return !pattern.includes("*");
}

/** [MS4] All patterns that match a topic: at most 511, as a topic has at most eight words. */
export function patternsOf(topic: string): string[] {
  const patterns = ["**"];
  let prefixes: string[] = [];
  for (const [at, word] of topic.split(".").entries()) {
    patterns.push(...prefixes.map((prefix) => `${prefix}.**`));
    prefixes = at === 0 ? [word, "*"] : prefixes.flatMap((prefix) => [`${prefix}.${word}`, `${prefix}.*`]);
  }
  return [...patterns, ...prefixes];
}
