import type { BriefFacts } from "../sessions/recoveries.ts";
import { listedFiles } from "./brief-files.ts";
import type { Restoration } from "./restoration.ts";

const maxFiles = 40;

export function briefFacts(from: Restoration): BriefFacts {
  const files = listedFiles(from)
    .slice(0, maxFiles)
    .map(({ path }) => path);
  return { files, results: from.state.lastError ? [from.state.lastError.text.slice(0, 400)] : [] };
}
