import { asObject, numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import type { SeenFile, StoreHabits, UnlistedFile } from "../adapter/store-habits.ts";

/** Codex searches so many lines for the first prompt, as seen with 0.169.0. */
const searchedLines = 400;

function unlistedBy({ firstPromptLine }: SeenFile): UnlistedFile | null {
  if (firstPromptLine === null || firstPromptLine <= searchedLines) return null;
  const line = `its first prompt stands in its line ${firstPromptLine}`;
  return { state: "invisible", text: `Codex may not list it (${line}) until \`codex exec resume\` has opened it once` };
}

/** Seen with 0.169.0, which deletes no session by itself. */
export const codexStore: StoreHabits = {
  isNamedById: true,
  hides(row) {
    if (row["type"] !== "session_meta") return null;
    const source = objectAt(row, "payload")?.["source"];
    if (source === "exec")
      return {
        why: "`codex exec` has written it",
        shownBy: () => "`codex resume --include-non-interactive` lists it",
      };
    const isSubagent = asObject(source)?.["subagent"] !== undefined;
    return isSubagent
      ? { why: "it is of a sub-agent", shownBy: () => "the chat that started it has its results" }
      : null;
  },
  unlisted: unlistedBy,
  prompts: {
    file: "history.jsonl",
    mayHaveUnsent: true,
    promptIn(row) {
      const [session, seconds] = [textAt(row, "session_id", 100), numberAt(row, "ts")];
      return session === null || seconds === null ? null : { session, at: seconds * 1_000 };
    },
  },
};
