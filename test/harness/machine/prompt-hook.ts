import { execFileSync, type SpawnSyncReturns } from "node:child_process";
import { dirname, join } from "node:path";
import * as journal from "#src/machine/sessions/journal.ts";
import type { Paths } from "#src/platform/paths.ts";
import { built, envOf, storeOf } from "./mcp-process.ts";

const script = join(dirname(built.mcp), "shim-hook");

const session = "20487890-04b4-4fe0-bbd5-6aa531354551";

/** A client: it starts a process for an event, as it has registered it, and is gone afterwards. */
const clientProgram = `const { spawnSync } = require("node:child_process");
const { command: [name, ...args], input } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const { status, stdout, stderr } = spawnSync(name, args, { input, encoding: "utf8" });
process.stdout.write(JSON.stringify({ status, stdout, stderr }));`;

/** A prompt, as Claude Code sends it. */
/** @param user whose process the client is; absent: this process' own */
export function prompt(paths: Paths, n = 1, more: NodeJS.ProcessEnv = {}, user: { uid?: number; gid?: number } = {}) {
  const own = { CLAUDE_CODE_ENTRYPOINT: "cli", CLAUDE_CODE_SESSION_ID: session, NODE_NO_WARNINGS: "1" };
  const given = { prompt: `prompt ${n} ghp_${"0aB".repeat(12)}`, prompt_id: `p${n}` };
  const payload = { session_id: session, hook_event_name: "UserPromptSubmit", cwd: dirname(paths.home), ...given };
  const command = ["/bin/sh", script, process.execPath, "UserPromptSubmit", "--client", "claude-code"];
  const input = JSON.stringify({ command, input: JSON.stringify(payload) });
  const options = { env: envOf(paths, { ...own, ...more }), input, encoding: "utf8", ...user } as const;
  const got = execFileSync(process.execPath, ["-e", clientProgram], options);
  return JSON.parse(got) as Pick<SpawnSyncReturns<string>, "status" | "stdout" | "stderr">;
}

export function prompts(paths: Paths): unknown[] {
  const rows = storeOf(paths).read((sql) => journal.list(sql, session, 0), []);
  return rows.flatMap(({ entry }) => (entry.kind === "prompt" ? [entry.text] : []));
}
