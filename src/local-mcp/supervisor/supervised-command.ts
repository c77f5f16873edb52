import { redact } from "../redaction/redact.ts";
import { withoutSecrets } from "../automation/program-env.ts";
import { endingOf } from "./ending.ts";
import type { Start, Supervised } from "./supervised.ts";

/** A program that knows nothing of sessions. */
export function supervisedCommand(start: Omit<Start, "input">): Supervised {
  const env = withoutSecrets(start.env);
  return {
    next: ({ chat }) => ({
      start: { ...start, env, input: "" },
      how: [start.command, ...start.args].join(" "),
      chat,
      hear: (line) => redact(line).text,
      over: async (ended, isAsked) => ({
        ending: endingOf({ ended, isAsked, isSessionOver: false, limit: null, result: null }),
        chat,
      }),
    }),
  };
}
