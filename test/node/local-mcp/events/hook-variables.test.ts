import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { findClientPid } from "#src/local-mcp/events/read-event.ts";
import { isOfForeignCaller } from "#src/local-mcp/events/foreign-callers.ts";
import { valueVariables } from "#src/clients/adapter/hook-variables.ts";
import { recording } from "#harness/clients/recorded-client.ts";
import { aProject } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const sent: ReadonlySet<string> = new Set(valueVariables);
/** Of the machine, and none: the host's own are right. */
const ofMachine: ReadonlySet<string> = new Set(["SHIM_HOME", "SHIM_WORKSPACE_KEY", "USERPROFILE", ""]);

/** The names of the variables that are read from it. */
function watched(env: NodeJS.ProcessEnv, read: Set<string>): NodeJS.ProcessEnv {
  return new Proxy(env, {
    // A program that is started gets all of them.
    ownKeys: () => [],
    get(target, name) {
      if (typeof name === "string") read.add(name);
      return target[String(name)];
    },
  });
}

it("an answer depends on no variable that the script does not send", () => {
  const read = new Set<string>();
  for (const client of ["codex", "copilot", "qwen", "gemini", "claude-code"]) {
    const adapter = adapterOf(client);
    if (!adapter) throw new Error(`no adapter is named ${client}`);
    const folder = join(
      import.meta.dirname,
      "../../../harness/clients/payloads",
      client === "claude-code" ? "qwen" : client,
    );
    const own = client === "claude-code" ? { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli" } : {};
    const runtime = tempRuntime();
    runtime.processes.start(2_000);
    const cwd = aProject();
    for (const file of readdirSync(folder)) {
      const [event = ""] = file.replace(".json", "").split("-");
      const { env, payload } = recording(client === "claude-code" ? "qwen" : client, file.replace(".json", ""));
      const watchedEnv = watched({ HOME: "/home/user", ...env, ...own }, read);
      const input = JSON.stringify({ ...payload, cwd, ...(own.CLAUDECODE ? { timestamp: undefined } : {}) });
      isOfForeignCaller({ client, input, env: watchedEnv });
      const clientPid = findClientPid(runtime.processes, adapter.name, watchedEnv, 2_000);
      answerHook({ ...runtime, env: watchedEnv }, event, () => input, clientPid, adapter);
    }
  }
  expect(read).toContain("CLAUDE_CODE_ENTRYPOINT");
  expect([...read].filter((name) => !sent.has(name) && !ofMachine.has(name))).toEqual([]);
});
