import { createEngine } from "@secretlint/node";
import { expect, it } from "vitest";
import { redact } from "#src/redaction/redact.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";
import { lookAlikes } from "#harness/secrets/secret-look-alikes.ts";

const seed = 20_251;
const preset = "@secretlint/secretlint-rule-preset-recommend";
const engine = await createEngine({
  cwd: process.cwd(),
  formatter: "json",
  configFileJSON: {
    rules: [
      {
        id: preset,
        // Our own marker in the password's place of an address is not a password; this rule cannot know.
        rules: [
          {
            id: "@secretlint/secretlint-rule-database-connection-string",
            options: { allows: [String.raw`/:\[redacted:[a-z0-9-]+\]@/`] },
          },
        ],
      },
    ],
  },
});

interface Sample {
  readonly name: string;
  readonly text: string;
}

async function isFlagged(content: string): Promise<boolean> {
  const { ok } = await engine.executeOnContent({ content, filePath: "sample.txt" });
  return !ok;
}

async function flagged(samples: readonly Sample[]): Promise<string[]> {
  const names: string[] = [];
  for (const { name, text } of samples) if (await isFlagged(text)) names.push(name);
  return names;
}

it("what secretlint finds in the corpus is gone from the redacted text", async () => {
  const samples = secretSamples(seed);
  expect((await flagged(samples)).length).toBeGreaterThan(20);
  expect(await flagged(samples.map(({ name, text }) => ({ name, text: redact(text).text })))).toEqual([]);
});

it("finds more of the secrets than secretlint and flags no look-alike", async () => {
  const samples = secretSamples(seed);
  const others = lookAlikes(seed);
  const ours = {
    secrets: samples.filter(({ text, secrets }) => secrets.every((secret) => !redact(text).text.includes(secret)))
      .length,
    lookAlikes: others.filter(({ text }) => redact(text).count > 0).length,
  };
  const theirs = { secrets: (await flagged(samples)).length, lookAlikes: (await flagged(others)).length };
  console.log(`secrets found of ${samples.length}: shim ${ours.secrets}, secretlint ${theirs.secrets}`);
  console.log(`look-alikes flagged of ${others.length}: shim ${ours.lookAlikes}, secretlint ${theirs.lookAlikes}`);
  expect(ours).toEqual({ secrets: samples.length, lookAlikes: 0 });
  expect(ours.secrets).toBeGreaterThan(theirs.secrets);
});
