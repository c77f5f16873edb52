import { expect, it } from "vitest";
import type { Band, TierCounts } from "#src/contract/model-routes.ts";
import { bandOf, chooseRoute, escalate } from "#src/learning/routing/model-router.ts";
import { compareWithPast, type PastPrompt } from "#src/learning/routing/like-prompts.ts";
import type { RouteTable } from "#src/learning/routing/model-router.ts";
import { estimateTokens, o200kTokens } from "#src/machine/sessions/usage/tokens.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

const table: RouteTable = {
  tiers: [
    { name: "tiny", model: "nano" },
    { name: "small", model: "haiku" },
    { name: "medium", model: "sonnet" },
    { name: "large", model: "opus", effort: "high" },
  ],
  default: "medium",
  exploration: 0.1,
  acceptable: 0.9,
};

function count(tier: string, succeeded: number, tried: number, change: Partial<TierCounts> = {}): TierCounts {
  const { model = "", effort = null } = table.tiers.find(({ name }) => name === tier) ?? {};
  return { tier, model, effort, band: "usual", tried, succeeded, meanCostMicros: null, ...change };
}

/** Tiers and reasons of many choices, each with its share. */
function choices(band: Band, counts: readonly TierCounts[] | null): Record<string, number> {
  const random = seededRandom(3);
  const all = Array.from({ length: 2_000 }, () => chooseRoute(table, band, counts, random));
  const byName = Map.groupBy(all, ({ tier, reason }) => `${tier} ${reason}`);
  return Object.fromEntries([...byName].map(([name, chosen]) => [name, chosen.length / all.length]));
}

const standard = count("medium", 90, 100);

it("without evidence, or without counts, the default tier does the task", () => {
  expect(choices("unknown", [count("small", 99, 99)])).toEqual({ "medium no_evidence": 1 });
  expect(choices("usual", null)).toEqual({ "medium no_counts": 1 });
});

it("exploration: no cheaper tier for a complex task, all for others", () => {
  const [most, few] = [0.9, 0.05].map((share) => expect.closeTo(share, 1) as number);
  expect(choices("usual", [])).toEqual({ "medium chosen": most, "small explored": few, "tiny explored": few });
  expect(Object.keys(choices("alike", [])).toSorted()).toEqual(["medium chosen", "small explored", "tiny explored"]);
  expect(choices("complex", [])).toEqual({ "medium chosen": 1 });
});

it("the cheapest tier that is proven good enough does the task; counts of another model, effort or band prove nothing", () => {
  expect(choices("usual", [standard, count("small", 48, 50)])["small chosen"]).toBeGreaterThan(0.85);
  expect(choices("usual", [standard, count("small", 48, 50), count("tiny", 48, 50)])).toEqual({ "tiny chosen": 1 });
  expect(choices("usual", [standard, count("small", 5, 5)])["small chosen"]).toBeUndefined();
  // A default of which little is known proves no other tier.
  expect(choices("usual", [count("medium", 0, 1), count("small", 2, 4)])["small chosen"]).toBeUndefined();
  for (const change of [{ model: "old" }, { effort: "low" }, { band: "alike" as const }])
    expect(choices("usual", [standard, count("small", 100, 100, change)])["small chosen"]).toBeUndefined();
});

it("a tier that has failed in most of twenty tasks is tried no more; of fewer it is not known", () => {
  const shares = [19, 20].map((tried) => choices("usual", [standard, count("small", 8, tried)])["small explored"]);
  expect(shares).toEqual([expect.any(Number), undefined]);
});

it("one tier up after a failure, the top one again, and a tier that is gone counts as the default", () => {
  const first = chooseRoute(table, "unknown", [], seededRandom(1));
  const second = escalate(table, first);
  expect(second).toMatchObject({ tier: "large", reason: "escalated" });
  expect(escalate(table, second)).toMatchObject({ tier: "large", reason: "retried" });
  expect(escalate(table, { ...first, tier: "gone" })).toMatchObject({ tier: "large" });
});

it("the words of a task say nothing of how hard it is, in no language", () => {
  for (const text of [
    "",
    "hello",
    "Rewrite the whole storage engine with sharding and replication, without downtime",
    "Fix the typo, test and document it",
    "Schreib die ganze Speicherschicht neu",
    "これをお願いします",
    "🙂",
  ])
    expect([text, bandOf(text, none)]).toEqual([text, "unknown"]);
  for (const nothing of [null, 5, true, [], {}, { a: { b: [1] } }]) expect(bandOf(nothing, none)).toBe("unknown");
});

const none = (text: string) => compareWithPast(text, []);

const unread = (): never => {
  throw new Error("the past was read");
};

const job = (count: number, rest: object = {}) => {
  const files = Array.from({ length: count }, (_, at) => ({ path: `src/f${at}.ts` }));
  return bandOf({ title: "Parser", text: "", files, ...rest }, unread);
};

const listed = (count: number) => bandOf("- 直す\n".repeat(count), none);
const folders = (count: number) => bandOf(Array.from({ length: count }, (_, at) => `p${at}/a.ts`).join(" "), none);

it("files, folders, lists and length do, alike in every language; what a job states is more than what a text names, and needs no past", () => {
  expect(bandOf("In src/a.ts fehlt ein Komma.", none)).toBe("unknown");
  expect([job(1), job(5), job(6)]).toEqual(["usual", "usual", "complex"]);
  expect([job(1, { kinds: ["fix"] }), job(1, { kinds: ["fix", "migrate"] })]).toEqual(["usual", "complex"]);
  expect([listed(7), listed(8)]).toEqual(["unknown", "complex"]);
  expect([folders(3), folders(4)]).toEqual(["unknown", "complex"]);
  expect([bandOf("字".repeat(5_999), none), bandOf("字".repeat(6_000), none)]).toEqual(["unknown", "complex"]);
});

/** So many earlier prompts for a new version, the last of which was this much work. */
function versions(count: number, last: { calls: number; edits: number } = { calls: 3, edits: 1 }): PastPrompt[] {
  return Array.from({ length: count }, (_, at) => ({
    text: `${at % 2 === 0 ? "バージョン" : "Version"} 1.${at} freigeben und das Tag setzen`,
    ...(at === count - 1 ? last : { calls: 3, edits: 1 }),
  }));
}

const after = (past: readonly PastPrompt[]) => (text: string) => compareWithPast(text, past);

it("five earlier prompts like it that all were little work say so, in every language, and nothing else of the past does", () => {
  const next = "Version 1.9 freigeben und das Tag setzen";
  expect(bandOf(next, after(versions(5)))).toBe("alike");
  expect(bandOf({ prompt: next }, after(versions(5)))).toBe("alike");
  expect(bandOf(next, after(versions(4)))).toBe("unknown");
  expect(bandOf(next, after(versions(6, { calls: 25, edits: 1 })))).toBe("unknown");
  expect(bandOf(next, after(versions(6, { calls: 3, edits: 4 })))).toBe("unknown");
  expect(bandOf("Rewrite the storage engine", after(versions(9)))).toBe("unknown");
  expect(bandOf(`${next}\n${"- mehr\n".repeat(8)}`, after(versions(9)))).toBe("complex");
  expect(bandOf("", after(versions(9)))).toBe("unknown");
});

it("code between fences asks for nothing", () => {
  const code = "```ts\nimport x from './docs/readme.md';\n```";
  expect([bandOf(code, none), bandOf(`Explain this:\n${code}`, none)]).toEqual(["unknown", "unknown"]);
});

const random = seededRandom(11);
const bytes = Buffer.from(Array.from({ length: 2_400 }, () => Math.floor(random() * 256)));
const code = `/** Tries again after a pause that doubles. */
export async function retry<T>(work: () => Promise<T>, { tries = 3, pauseMs = 100 }: RetryOptions = {}): Promise<T> {
  for (let attempt = 0; attempt < tries; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof NetworkError && error.status >= 500)) throw error;
      await sleep(pauseMs * 2 ** attempt);
    }
  }
  throw new Error(\`gave up after \${tries} tries\`);
}
`;

const orders = Array.from({ length: 12 }, (_, index) => ({
  id: `order-${1000 + index * 37}`,
  customer: { name: ["Ada Lovelace", "Alan Turing", "Grace Hopper"][index % 3], isActive: index % 2 === 0 },
  totalCents: 1_999 + index * 451,
  createdAt: `2026-03-${String(10 + index)}T08:15:00Z`,
  tags: ["paid", "priority"],
}));

const english = `The checkpoint is written before the answer is shown, so that a crash at any moment leaves the work as it
was. When a chat ends without a word, the next one in the same project is offered what it knew: the files that it had
changed, the commands that had failed, and the question that was still open. Do not push until all tests pass.`;

const arabic = `تحفظ الأداة حالة المحادثة قبل عرض الإجابة، حتى لا يضيع أي عمل عند توقف البرنامج فجأة. عندما تنتهي المحادثة
دون إشعار، تعرض المحادثة التالية في المشروع نفسه ما كانت تعرفه: الملفات التي غيرتها، والأوامر التي فشلت، والسؤال الذي بقي
مفتوحا. يمكن للمستخدم أن يرفض هذا العرض، ولن يتكرر بعد ذلك.`;

const japanese = `このツールは、回答が表示される前に会話の状態を保存します。そのため、プログラムが突然停止しても作業は失われません。会話が通知なしに終了した場合、
同じプロジェクトの次の会話に、それまでに分かっていたことが渡されます。変更されたファイル、失敗したコマンド、そしてまだ答えのない質問です。ユーザーはこの提案を断ることができ、
その後は二度と表示されません。`;

/** A text and its tokens, as gpt-tokenizer 4.0.0 counts them with o200k_base. */
const tokenSamples = [
  { kind: "English", text: english, tokens: 76 },
  { kind: "code", text: code, tokens: 123 },
  { kind: "JSON", text: JSON.stringify({ orders }, null, 2), tokens: 993 },
  { kind: "JSON without spaces", text: JSON.stringify({ orders }), tokens: 617 },
  { kind: "Arabic", text: arabic, tokens: 89 },
  { kind: "Japanese", text: japanese, tokens: 115 },
  { kind: "base64", text: bytes.toString("base64"), tokens: 2_181 },
  { kind: "hexadecimal", text: bytes.toString("hex"), tokens: 2_679 },
];

it.each(tokenSamples)("the estimate of $kind is within 15 % of what o200k counts", ({ text, tokens }) => {
  expect(Math.abs(o200kTokens(text) / tokens - 1)).toBeLessThan(0.15);
});

it("a model with o200k gets the plain estimate, any that is not known a half more: a bound", () => {
  for (const { text, tokens } of tokenSamples) {
    for (const model of ["gpt-5.5-codex", "openai/gpt-4o-mini", "o4-mini", "codex-mini-latest", "gpt-oss-120b"])
      expect(estimateTokens(text, model), model).toBe(Math.round(o200kTokens(text)));
    for (const model of [null, "gpt-3.5-turbo", "unheard-of-1"])
      expect(estimateTokens(text, model)).toBeGreaterThan(tokens * 1.2);
  }
  const [{ text } = { text: "" }] = tokenSamples;
  for (const model of ["gemini-3-pro", "qwen3-coder", "deepseek-v4", "mistral-large", "devstral-2"])
    expect(estimateTokens(text, model), model).toBe(Math.round(1.2 * o200kTokens(text)));
});
