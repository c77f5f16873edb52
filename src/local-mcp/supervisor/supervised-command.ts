import { redact } from "../redaction/redact.ts";
import { endingOf } from "./program-end.ts";
import type { Start, Supervised } from "./supervised.ts";

/** A program that knows nothing of sessions. */
export function supervisedCommand(start: Omit<Start, "input">): Supervised {
  return {
    next: ({ chat }) => ({
      start: { ...start, input: "" },
      how: redact([start.command, ...start.args].join(" ")).text,
      chat,
      hear: (line) => redact(line).text,
      over: async (ended, isAsked) => ({
        ending: endingOf({ ended, isAsked, isSessionOver: false, limit: null, result: null }),
        chat,
      }),
    }),
  };
}
