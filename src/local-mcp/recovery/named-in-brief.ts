import type { Named } from "../sessions/recoveries.ts";
import { shownFiles } from "./brief-files.ts";
import type { Restoration } from "./restoration.ts";

const mostFiles = 40;

/** What a chat need not look up again, since its brief says it. */
export function namedIn(from: Restoration): Named {
  const files = shownFiles(from)
    .slice(0, mostFiles)
    .map(({ path }) => path);
  return { files, results: from.state.lastError ? [from.state.lastError.text.slice(0, 400)] : [] };
}
