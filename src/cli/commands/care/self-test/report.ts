/** Printed as JSON: names are stable. */
export interface SelfTestCheck {
  readonly name: string;
  readonly state: "ok" | "failed";
  readonly ms: number;
  readonly text: string;
}

export interface SelfTestReport {
  readonly isPassed: boolean;
  readonly ms: number;
  readonly about: Readonly<Record<string, string>>;
  readonly checks: readonly SelfTestCheck[];
}

/** [IP8] Words of this machine that name its user, each with what is printed instead. */
export type PersonalWords = readonly (readonly [word: string, instead: string])[];

const minWordChars = 2;

/** [IP8] The longest first: a home holds the user's name. */
export function withoutPersonal(text: string, words: PersonalWords): string {
  const known = words.filter(([word]) => word.length >= minWordChars).toSorted(([a], [b]) => b.length - a.length);
  return known.reduce((rest, [word, instead]) => rest.replaceAll(word, instead), text);
}

export function renderReport({ isPassed, ms, about, checks }: SelfTestReport): string {
  const facts = Object.entries(about).map(([name, value]) => `${name}: ${value}`);
  const lines = checks.map((one) => `${one.state.padEnd(6)}  ${one.name}: ${one.text} (${one.ms} ms)`);
  const count = checks.filter(({ state }) => state === "failed").length;
  const sum = `${checks.length - count} ok, ${count} failed, ${ms} ms`;
  const advice = isPassed ? "" : "Please send it: it shows what SHIM does not do on this system.\n";
  return [
    "SHIM self-test",
    ...facts,
    "",
    ...lines,
    sum,
    "",
    `The report holds no names, paths or texts of yours, so you can send it as it is.\n${advice}`,
  ].join("\n");
}
