import { join } from "node:path";
import type { CliHome } from "#harness/machine/cli-home.ts";
import { addSession } from "#harness/machine/cli-home.ts";
import { ClaudeTranscript } from "#harness/machine/claude-transcript.ts";

export const chatId = "5f0e0e5e-0000-4000-8000-000000000001";

/** A chat that lives, with a transcript of Claude Code that is empty at first. */
export function addChat(
  home: CliHome,
  { id = chatId, pid = 4_711, title = "Harbour", project = home.project } = {},
): ClaudeTranscript {
  const path = join(home.folder, `${id}.jsonl`);
  const transcript = new ClaudeTranscript(path, home.now);
  home.alive.add(pid);
  addSession(home, { id, pid, title, project, transcriptPath: path, entries: [{ kind: "start", source: "startup" }] });
  return transcript;
}

export const markdownAnswer = `# What I found

The parser **drops** the *last* line, see [the guide](https://example.org/guide?a=1&b=2).

| file | lines | state |
| :-- | --: | :-: |
| \`a.ts\` | 1,204 | fixed |
| b.ts | 8 | ~~open~~ |

- [x] read the file
- [ ] write a test

1. First
2. Then fix the second, which is longer

\`\`\`ts
/** Adds. */
export function add(a: number, b: number): number {
  return a + b; // 1
}
\`\`\`

> Which of the two do you want me to do first: **A or B**?`;
