import { redact } from "../redaction/redact.ts";
import { classifyEnd } from "./program-end.ts";
import type { ProgramStart, Supervised } from "./program-run.ts";

export function supervisedCommand(start: Omit<ProgramStart, "input">): Supervised {
  return {
    next: ({ chat }) => ({
      start: { ...start, input: "" },
      how: redact([start.command, ...start.args].join(" ")).text,
      chat,
      onLine: (line) => redact(line).text,
      onEnd: async (exit, wasAskedToEnd) => ({
        ending: classifyEnd({ exit, wasAskedToEnd, isSessionOver: false, limit: null, result: null }),
        chat,
      }),
    }),
  };
}
