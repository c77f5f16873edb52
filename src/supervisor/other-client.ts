import { uuidv7 } from "../shared/ids.ts";
import { brief } from "../local-mcp/recovery/brief.ts";
import { restore } from "../local-mcp/recovery/restoration.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { redact } from "../redaction/redact.ts";
import type { StartableClient } from "../worker-runner/other-client/at-limit.ts";
import { otherCommand } from "../worker-runner/other-client/other-command.ts";
import { recordDeath } from "./record-death.ts";
import { classifyEnd } from "./program-end.ts";
import type { NotRun, ProgramRun } from "./program-run.ts";
import type { SupervisedClaudeOptions } from "./supervised-claude.ts";
import { giveBack, takeFor } from "../worker-runner/client/continuation.ts";

/** [CA51] One run of another client, which continues a session that has reached a usage limit. */
export function runInstead(
  options: SupervisedClaudeOptions,
  last: sessions.Session,
  other: StartableClient,
  resetsAtMs: number | null,
): ProgramRun | NotRun {
  const { runtime, watched, folder } = options;
  const restoration = restore(runtime, last);
  if (!restoration || !watched.atLimit) return { kind: "held", reason: `nothing of ${last.id} is known` };
  const id = uuidv7(runtime.now(), runtime.random(16));
  const prompt = `${watched.prompt}\n\n${brief(restoration, runtime.now(), "resume")}`;
  const command = otherCommand(runtime, other, watched.atLimit, { prompt, successor: id, variables: watched.env });
  return {
    start: { ...command, cwd: folder },
    prepare: () => takeFor(options, last.id, id),
    how: `${other.title} with the brief of ${last.id}, because Claude Code has reached its usage limit`,
    chat: { session: id, before: last.id, isUnresumable: false, instead: null },
    onLine: (text) => redact(text).text,
    onEnd: async (exit, wasAskedToEnd) => {
      const successor = runtime.store.read((sql) => sessions.get(sql, last.id)?.recoveryBy, null) ?? id;
      await recordDeath(options, successor);
      await giveBack(options, last.id, id);
      const ending = classifyEnd({ exit, wasAskedToEnd, isSessionOver: false, limit: null, result: null });
      const chat = { session: successor, before: last.id, isUnresumable: true, instead: null };
      // Claude Code is tried again as after a limit: this client's failure is no crash of it.
      return { ending: ending.kind === "crashed" ? { kind: "limited", resetsAtMs } : ending, chat };
    },
  };
}
