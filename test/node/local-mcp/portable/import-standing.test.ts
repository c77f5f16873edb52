import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openCodeDocument } from "#harness/clients/invented-transcripts.ts";
import { aSeededHome } from "#harness/machine/cli-home.ts";

async function briefOf(text: string): Promise<string> {
  const home = aSeededHome();
  const path = join(home.folder, "old.jsonl");
  writeFileSync(path, text);
  return String((await home.json(`resume --json --from-transcript ${path}`))["brief"]);
}

it("[TR205] a turn of OpenCode that the model ended is over, after a compaction too", async () => {
  const messages = openCodeDocument.messages.slice(0, 6);
  const brief = await briefOf(JSON.stringify({ ...openCodeDocument, messages }));
  expect(brief).toContain("the turn was over, and the chat waited for the user");
});
