import type { ClientAdapter } from "../clients/client-adapter.ts";
import { uuidv7 } from "../shared/ids.ts";
import { brief } from "../local-mcp/recovery/brief.ts";
import { take, withdrawOffer } from "../local-mcp/recovery/local-source.ts";
import { restore } from "../local-mcp/recovery/restoration.ts";
import { successorVariable } from "../local-mcp/recovery/successor.ts";
import * as sessions from "../local-mcp/sessions/sessions.ts";
import { redact } from "../redaction/redact.ts";
import { claudeEnvironment } from "../worker-runner/claude/environment.ts";
import { logStoreErrors } from "./log-store-errors.ts";
import { classifyEnd } from "./program-end.ts";
import type { NotRun, ProgramRun } from "./program-run.ts";
import type { SupervisedClaudeOptions } from "./supervised-claude.ts";

/** [CA51] One run of another client, which continues a session that has reached a usage limit. */
export function runInstead(
  { runtime, watched, folder, recordDeath }: SupervisedClaudeOptions,
  last: sessions.Session,
  { title, commands }: ClientAdapter,
): ProgramRun | NotRun {
  const restoration = restore(runtime, last);
  if (!restoration || !commands || !watched.atLimit) return { kind: "held", reason: `nothing of ${last.id} is known` };
  const { program, args } = watched.atLimit;
  const id = uuidv7(runtime.now(), runtime.random(16));
  logStoreErrors(runtime, () => take(runtime, restoration, id));
  const prompt = `${watched.prompt}\n\n${brief(restoration, runtime.now(), "resume")}`;
  const line = commands.run(prompt, args);
  const env = { ...claudeEnvironment(runtime.env, watched.env, runtime.paths.home), [successorVariable]: id };
  return {
    start: { command: program ?? line.command, args: line.args, cwd: folder, env, input: "" },
    how: `${title} with the brief of ${last.id}, because Claude Code has reached its usage limit`,
    chat: { session: id, before: last.id, isUnresumable: false, instead: null },
    onLine: (text) => redact(text).text,
    onEnd: async (exit, wasAskedToEnd) => {
      const successor = runtime.store.read((sql) => sessions.get(sql, last.id)?.recoveryBy, null) ?? id;
      await recordDeath(successor);
      logStoreErrors(runtime, () => withdrawOffer(runtime, last.id, id));
      const ending = classifyEnd({ exit, wasAskedToEnd, isSessionOver: false, limit: null, result: null });
      const chat = { session: successor, before: last.id, isUnresumable: true, instead: null };
      // Claude Code is tried again as after a limit: this client's failure is no crash of it.
      return { ending: ending.kind === "crashed" ? { kind: "limited", resetsAtMs: null } : ending, chat };
    },
  };
}
