import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { redact } from "../src/redaction/redact.ts";
import { secretCases } from "../test/harness/secrets/secret-cases.ts";
import { draw, lower, uuid } from "../test/harness/secrets/secret-draw.ts";
import { tuned } from "../test/harness/secrets/secret-families.ts";
import { ms, range, sample, type Row } from "./figures.ts";
import { scaled } from "./size.ts";

const warmUp = scaled(5);
const rounds = scaled(40);
const seed = 7;
/** One pass that stops at many characters and finds nothing: what any rule costs at the least. */
const onePass = /[aeiou]{9}/g;

interface Text {
  readonly name: string;
  readonly text: string;
  /** So many times the trivial pass it may take. */
  readonly mostPasses: number;
}

/** How fast texts are redacted, beside one trivial regular expression over the same text. */
export function benchRedaction(): Promise<Row[]> {
  return Promise.resolve(texts().map((text) => rowOf(text)));
}

function rowOf({ name, text, mostPasses }: Text): Row {
  const times: { readonly pass: number[]; readonly redact: number[] } = { pass: [], redact: [] };
  for (let round = -warmUp; round < rounds; round++) {
    const [pass, own] = [cpuMs(() => text.match(onePass)), cpuMs(() => redact(text))];
    if (round < 0) continue;
    times.pass.push(pass);
    times.redact.push(own);
  }
  const [pass, own] = [sample(times.pass).p50, sample(times.redact).p50];
  const passes = own / pass;
  return {
    group: "redaction",
    n: times.redact.length,
    name: `${name}, ${Math.round(text.length / 1_000)} KB`,
    figure: `${Math.round(text.length / 1_000 / own)} MB/s (${ms(own)})`,
    against: `${passes.toFixed(1)} x one trivial pass`,
    goal: `at most ${mostPasses} x`,
    isReached: passes <= mostPasses,
  };
}

/** Of the processor, so that what else runs on the machine counts little. */
function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

function texts(): Text[] {
  return [
    { name: "code", text: code(), mostPasses: 10 },
    { name: "docs", text: docs(), mostPasses: 16 },
    { name: "lock file", text: readFileSync("package-lock.json", "utf8"), mostPasses: 22 },
    { name: "JSON", text: JSON.stringify(records()), mostPasses: 20 },
    { name: "text dense with secrets", text: dense(), mostPasses: 70 },
  ];
}

/** Of a dependency with a pinned version, so that it changes seldom. */
function code(): string {
  const folder = "node_modules/zod/v4/core";
  const names = readdirSync(folder).filter((name) => name.endsWith(".js"));
  return names.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
}

function docs(): string {
  const files = readdirSync("node_modules").map((name) => join("node_modules", name, "README.md"));
  const found = files.filter((path) => existsSync(path)).map((path) => readFileSync(path, "utf8"));
  return found.join("\n").slice(0, 500_000);
}

function records(): unknown[] {
  const d = draw(seed);
  return range(4_000, (n) => ({
    id: uuid(d),
    name: `${d.chars(lower, 6)} ${d.chars(lower, 8)}`,
    url: `https://example.com/${d.chars(lower, 5)}/${n}?page=${n}`,
    key: `item_${n}`,
    createdAt: new Date(1_700_000_000_000 + n * 1_000_000).toISOString(),
    tags: ["alpha", "beta"],
    sessionCount: n,
    isActive: n % 2 === 0,
  }));
}

function dense(): string {
  return secretCases(tuned, seed)
    .map(({ text }) => text)
    .join("\n");
}
