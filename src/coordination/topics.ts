/** Which topics a pattern stands for. Pure. */

/** [MS4] `*` is one word, `**` at the end one or more, alone all. */
export function fits(pattern: string, topic: string): boolean {
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
